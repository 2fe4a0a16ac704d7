"""What the chapters need: objects to segment in photos that need no download, and sliders that leave a picture behind."""

from __future__ import annotations

import functools
import io
from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from .data.photos import offline_photos
from .data.sample import Sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["coffee_cup", "coins", "live"]

#: Cup, saucer and spoon in scikit-image's photo "coffee", as x and y along their border.
_OUTLINE = (
    *((172, 100), (176, 75), (195, 45), (230, 24), (285, 17), (340, 24), (365, 34), (382, 48), (396, 70), (405, 71)),
    *((414, 67), (425, 74), (421, 92), (416, 108), (445, 127), (465, 152), (477, 185), (480, 225), (470, 270), (451, 311)),
    *((437, 329), (421, 345), (404, 358), (385, 369), (363, 378), (338, 384), (312, 386), (285, 386), (257, 385), (230, 381)),
    *((204, 373), (180, 363), (140, 338), (108, 302), (88, 260), (78, 220), (78, 190), (84, 160), (100, 130), (125, 105)),
    (150, 85),
)
#: The spoon alone.
_SPOON = (
    *((373, 232), (378, 212), (388, 200), (398, 170), (405, 140), (408, 110), (399, 78), (404, 68), (418, 68), (424, 74)),
    *((414, 120), (405, 165), (393, 205), (386, 225), (385, 240), (390, 248), (402, 259), (406, 275), (400, 297), (387, 315)),
    *((370, 325), (352, 324), (335, 312), (327, 292), (327, 272), (335, 256), (350, 248), (362, 242)),
)
#: Between background and coins in scikit-image's photo "coins".
_COIN_LEVEL = 107


def coffee_cup(spoon: bool = True) -> Sample:
    """A cup on its saucer: a real photo, with a mask drawn by hand.

    Parameters
    ----------
    spoon : bool, optional
        Whether the spoon belongs to the object.

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
    if not spoon:
        ImageDraw.Draw(canvas).polygon(_SPOON, fill=0)
    return Sample(image, np.array(canvas, bool), "coffee", class_name="cup", image_id="coffee")


def coins() -> list[Sample]:
    """Coins of one photo, each an object: a real photo, with masks made by a threshold.

    Returns
    -------
    list of Sample
        303 x 384 pixels; the photo comes with scikit-image. From top to bottom; coins too dark for the threshold are left out.

    Examples
    --------
    >>> objects = coins()
    >>> len(objects), objects[0].mask.shape
    (24, (303, 384))
    """
    photo = offline_photos()["coins"]
    bright = ndimage.binary_fill_holes(ndimage.binary_opening(photo[..., 0] > _COIN_LEVEL, iterations=2))
    regions, count = ndimage.label(bright)
    masks = [regions == number for number in range(1, count + 1)]
    masks = [mask for mask in masks if 1000 < mask.sum() < 4000]
    return [Sample(photo, mask, f"coin {i}", class_name="coin", image_id="coins") for i, mask in enumerate(masks)]


def live(function: Callable[..., Figure], **sliders: Any) -> None:
    """Sliders for the arguments of a function that draws; beside them a picture is stored, for pages without a kernel.

    Parameters
    ----------
    function : callable
        Gives a Matplotlib figure.
    **sliders
        For each argument what `ipywidgets.interactive` takes: a widget, or a tuple of lowest and highest value.
    """
    import ipywidgets
    import matplotlib.pyplot as plt
    from IPython.display import display

    def picture(**values: Any) -> bytes:
        figure = function(**values)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="jpeg", dpi=80, facecolor="white", pil_kwargs={"quality": 88})
        plt.close(figure)
        return buffer.getvalue()

    shown: list[bytes] = []
    screen = ipywidgets.Image(format="jpeg")

    @functools.wraps(function)  # for the values that the sliders begin with
    def update(**values: Any) -> None:
        screen.value = picture(**values)
        shown.append(screen.value)

    controls = ipywidgets.interactive(update, **sliders)
    bundle = ipywidgets.VBox([controls, screen])._repr_mimebundle_()
    display({**bundle, "text/plain": "sliders", "image/jpeg": b64encode(shown[-1]).decode("ascii")}, raw=True)
