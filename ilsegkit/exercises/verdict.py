"""What a check says, and what checks are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import DataError

Answer = Callable[..., Any]


class Wrong(Exception):  # noqa: N818  (it is a verdict, not an error)
    """What is wrong with a solution."""


class Stopped(Exception):  # noqa: N818
    """The student's function raised an error, not the check."""


@dataclass(frozen=True)
class Verdict:
    """What a check says: `solved` is None while there is nothing to check."""

    exercise: str
    solved: bool | None
    message: str

    def __bool__(self) -> bool:
        """Whether it is solved, so that `assert check("1.1", answer)` grades it."""
        return self.solved is True

    def __repr__(self) -> str:
        mark = {True: "✓", False: "✗", None: "…"}[self.solved]
        return f"{mark} Exercise {self.exercise}: {self.message}"


CHECKS: dict[str, Callable[[Answer], None]] = {}


def exercise(name: str) -> Callable[[Callable[[Answer], None]], Callable[[Answer], None]]:
    """Enter a function as the check of an exercise."""

    def enter(function: Callable[[Answer], None]) -> Callable[[Answer], None]:
        CHECKS[name] = function
        return function

    return enter


def check(exercise: str, answer: Answer) -> Verdict:
    """Check the solution of an exercise.

    Parameters
    ----------
    exercise : str
        Its number, for example ``"1.1"``.
    answer : callable
        The function that the exercise asks for.

    Raises
    ------
    DataError
        If there is no such exercise.

    Examples
    --------
    >>> check("1.1", lambda prediction, target: (prediction & target).sum() / target.sum())
    ✗ Exercise 1.1: a mask that covers the whole image would get a perfect score: divide by the union, not by the target
    """
    if exercise not in CHECKS:
        raise DataError(f"there is no exercise {exercise!r}; choose one of {', '.join(CHECKS)}")
    if not callable(answer):
        return Verdict(exercise, False, f"pass the function itself, without calling it; this is {kind_of(answer)}")

    def ask(*arguments: Any) -> Any:
        try:
            return answer(*arguments)
        except Exception as error:  # whatever a student's code may raise
            if isinstance(error, NotImplementedError) and not str(error):  # the placeholder; PyTorch's tell what is missing
                raise
            raise Stopped(f"your function stopped with {type(error).__name__}: {error}") from error

    try:
        CHECKS[exercise](ask)
    except NotImplementedError:
        return Verdict(exercise, None, "not solved yet. Write your code in the cell above, run it, then run this cell again.")
    except (Wrong, Stopped) as wrong:
        return Verdict(exercise, False, str(wrong))
    except Exception as error:  # what it gives back is of a kind that nobody has thought of
        return Verdict(exercise, False, f"what your function gives cannot be used ({type(error).__name__}: {error})")
    return Verdict(exercise, True, "right.")


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    if isinstance(value, np.ndarray | Tensor) and value.ndim:
        return f"{'an array' if isinstance(value, np.ndarray) else 'a tensor'} of shape {tuple(value.shape)}"
    return f"{value!r}"[:60] if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def given(value: Any) -> Any:
    """What a function gave, if it gave something."""
    if value is None:
        raise Wrong("your function gives None: does it end with a return?")
    if value is Ellipsis:
        raise NotImplementedError
    return value


def number(value: Any) -> float:
    """One finite number."""
    if isinstance(given(value), Tensor | np.ndarray) and math.prod(value.shape) != 1:
        raise Wrong(f"expected one number, got {kind_of(value)}: is a mean or a sum missing?")
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise Wrong(f"expected one number; what your function gives is {kind_of(value)}") from None
    if not math.isfinite(found):
        raise Wrong(f"the result is {found}: something is divided by 0, or infinite")
    return found


def close(value: Any, wanted: float, tolerance: float = 1e-4) -> bool:
    """Whether a number is the one wanted, but for rounding."""
    return abs(number(value) - wanted) <= tolerance * max(1.0, abs(wanted))
