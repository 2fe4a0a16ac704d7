"""What the chapters need to teach on a real photo without a download: an object with a mask drawn by hand."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .data.photos import offline_photos
from .data.sample import Sample

__all__ = ["coffee_cup"]

#: Cup, saucer and spoon in scikit-image's photo "coffee", as x and y along their border.
_OUTLINE = (
    *((172, 100), (176, 75), (195, 45), (230, 24), (285, 17), (340, 22), (380, 38), (400, 60), (404, 72), (414, 67)),
    *((425, 74), (421, 92), (416, 108), (445, 127), (465, 152), (477, 185), (480, 225), (470, 270), (450, 310), (420, 343)),
    *((385, 367), (340, 380), (285, 385), (230, 380), (180, 363), (140, 338), (108, 302), (88, 260), (78, 220), (78, 190)),
    *((84, 160), (100, 130), (125, 105), (150, 85)),
)


def coffee_cup() -> Sample:
    """A cup on its saucer: a real photo, with a mask drawn by hand.

    Returns
    -------
    Sample
        400 x 600 pixels; the photo comes with scikit-image.

    Examples
    --------
    >>> cup = coffee_cup()
    >>> cup.image.shape, bool(cup.mask[200, 300])
    ((400, 600, 3), True)
    """
    image = offline_photos()["coffee"]
    canvas = Image.new("1", image.shape[1::-1])
    ImageDraw.Draw(canvas).polygon(_OUTLINE, fill=1)
    return Sample(image, np.array(canvas, bool), "coffee", class_name="cup", image_id="coffee")
