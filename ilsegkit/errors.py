"""The exceptions this package raises on purpose, each with one sentence that says what was wrong and what to do."""

__all__ = ["ClickError", "DataError", "IlsegkitError", "ImageError", "WeightsError"]


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
