"""The exceptions this package raises on purpose, each with one sentence that says what was wrong and what to do."""

from collections.abc import Mapping

__all__ = ["ClickError", "DataError", "IlsegkitError", "ImageError", "MissingExtraError", "WeightsError", "check_ranges"]


class IlsegkitError(Exception):
    """Base class: ``except IlsegkitError`` catches everything this package raises on purpose."""


class ImageError(IlsegkitError, ValueError):
    """An image or mask that cannot be read or has the wrong shape, type or size."""


class ClickError(IlsegkitError, ValueError):
    """A click that cannot be used: outside the image, not a number, or made before there is an image."""


class WeightsError(IlsegkitError, ValueError):
    """A weights file that is missing, damaged, or belongs to another model."""


class DataError(IlsegkitError, ValueError):
    """A data set, record file or option of a long run that does not fit."""


class MissingExtraError(DataError, ImportError):
    """Something of this package that needs packages which the plain install leaves out."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} of the extra {extra!r}; install it, in the clone: pip install -e '.[{extra}]'")


def check_ranges(of: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse settings whose numbers are out of range.

    Raises
    ------
    DataError
        If an attribute named in `ranges` is below the first or above the second number.
    """
    for name, (low, high) in ranges.items():
        if not low <= getattr(of, name) <= high:
            raise DataError(f"{name} = {getattr(of, name)} is not between {low} and {high}")
