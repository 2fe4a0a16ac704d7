"""Checks for the exercises in the notebooks: a solution that is wrong is told what is wrong with it.

A check calls the student's function on small inputs where the usual mistakes give different answers, and raises `Wrong` with
a sentence about the mistake. It is entered in `CHECKS` by the decorator `exercise`.
"""

from . import corrections, experiments, network  # noqa: F401  (they enter their checks)
from .verdict import CHECKS, Stopped, Verdict, Wrong, check

__all__ = ["CHECKS", "Stopped", "Verdict", "Wrong", "check"]
