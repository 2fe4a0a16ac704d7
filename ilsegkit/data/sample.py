"""What every data set gives: one object in one image."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Sample"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One object to segment.

    Attributes
    ----------
    image : ndarray of uint8, (height, width, 3)
        RGB.
    mask : ndarray of bool, (height, width)
        The object.
    object_id : str
        Unique in its data set; names the record of an evaluation.
    ignore : ndarray of bool, (height, width), or None
        Pixels that count as neither object nor background.
    class_name : str or None
        Class of the object, where it is known.
    image_id : str
        The image the object is in.
    """

    image: np.ndarray
    mask: np.ndarray
    object_id: str
    ignore: np.ndarray | None = None
    class_name: str | None = None
    image_id: str = ""
