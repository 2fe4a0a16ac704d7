"""Masks and clicks over a photo as a picture: for a notebook without a kernel, for a strip, for an animation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from .clicks import Click
from .errors import DataError, ImageError
from .images import resize_mask
from .records import ObjectRecord
from .runs import decode_mask

__all__ = ["COLOURS", "MASK_COLOURS", "OBJECT_COLOURS", "Colour", "draw", "jpeg", "picture_file", "save_story", "strip"]

Colour = tuple[int, int, int]

#: Okabe and Ito's colours, which colour-blind people tell apart, by what they stand for here.
COLOURS: dict[str, Colour] = {
    "object": (0, 114, 178),  # clicks on the object
    "background": (230, 159, 0),  # clicks on the background
    "gained": (0, 158, 115),  # what turned to foreground (Fig. 4 of the paper: green)
    "lost": (213, 94, 0),  # what turned to background (red)
}

#: Of finished objects, in turn: purple, yellow, blue, orange, green, vermilion.
OBJECT_COLOURS: list[Colour] = [(204, 121, 167), (240, 228, 66), (0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0)]

#: Of the object at hand, to choose from: sky blue, yellow, green, white.
MASK_COLOURS: list[Colour] = [(86, 180, 233), (240, 228, 66), (0, 158, 115), (255, 255, 255)]

LOSSLESS = 400_000  # pixels up to which a picture is sent as PNG


def draw(
    photo: np.ndarray,
    mask: np.ndarray | None = None,
    clicks: Sequence[Click] = (),
    finished: np.ndarray | None = None,
    side: int = 640,
) -> Image.Image:
    """A photo with the mask in blue, finished objects in other colours, and the clicks.

    Parameters
    ----------
    photo : ndarray of uint8, (height, width, 3)
    mask : ndarray of bool, (rows, columns), optional
        May be smaller than the photo.
    clicks : sequence of Click, optional
        In pixels of the photo: disks on the object, squares on the background.
    finished : ndarray of uint16, (rows, columns), optional
        Numbers of the finished objects from 1, and 0 where there is none.
    side : int, optional
        Longest side of the picture.

    Returns
    -------
    PIL.Image.Image

    Examples
    --------
    >>> draw(np.zeros((30, 40, 3), np.uint8), np.ones((30, 40), bool), [Click(3, 4)], side=80).size
    (80, 60)
    """
    height, width = photo.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0), np.float32).copy()
    regions = []
    if finished is not None:
        labels = resize_mask(finished, size[1], size[0])
        numbers = np.unique(labels[labels > 0])
        regions += [(labels == number, OBJECT_COLOURS[(number - 1) % len(OBJECT_COLOURS)]) for number in numbers]
    if mask is not None:
        regions.append((resize_mask(mask, size[1], size[0]), MASK_COLOURS[0]))
    for inside, colour in regions:
        picture[inside] = 0.55 * picture[inside] + 0.45 * np.array(colour)
        picture[inside & ~ndimage.binary_erosion(inside, iterations=2, border_value=1)] = colour
        picture[ndimage.binary_dilation(inside) & ~inside] = 255
    image = Image.fromarray(picture.round().astype(np.uint8))
    pen, r = ImageDraw.Draw(image), max(4, side // 90)
    for click in clicks:
        x, y = (click.x + 0.5) * scale, (click.y + 0.5) * scale
        box = (x - r, y - r, x + r, y + r)
        if click.positive:
            pen.ellipse(box, fill=COLOURS["object"], outline="white", width=max(1, r // 3))
        else:
            pen.rectangle(box, fill=COLOURS["background"], outline="black", width=max(1, r // 3))
    return image


def jpeg(image: Image.Image | np.ndarray, quality: int = 85) -> bytes:
    """The picture as the bytes of a JPEG file."""
    target = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(target, format="JPEG", quality=quality)
    return target.getvalue()


def picture_file(pixels: np.ndarray, size: tuple[int, int]) -> bytes:
    """A picture at another width and height as a file: PNG if it is small, else JPEG of good quality."""
    picture = Image.fromarray(pixels)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    target = io.BytesIO()
    if picture.width * picture.height <= LOSSLESS:
        picture.save(target, format="PNG", compress_level=1)
    else:
        picture.save(target, format="JPEG", quality=90, subsampling=0)
    return target.getvalue()


def _story(photo: np.ndarray, record: ObjectRecord, side: int) -> list[Image.Image]:
    """A picture of the photo after each click that was answered, each with a line of text below."""
    font = ImageFont.load_default(size=max(11, side // 26))
    pictures = []
    for count, stage in enumerate(record.stages, 1):
        if stage is None:
            continue
        picture = draw(photo, decode_mask(stage.mask), record.clicks[:count], side=side)
        text = f"{count} click{'s' * (count > 1)}" + (f"  IoU {stage.iou:.2f}" if stage.iou is not None else "")
        framed = Image.new("RGB", (picture.width, picture.height + side // 13), "white")
        framed.paste(picture)
        ImageDraw.Draw(framed).text((4, picture.height + side // 100), text, fill="black", font=font)
        pictures.append(framed)
    if not pictures:
        raise DataError("the object has no click that was answered; finish an object first")
    return pictures


def strip(photo: np.ndarray, record: ObjectRecord, side: int = 320, columns: int = 5) -> Image.Image:
    """An object click by click, as one picture.

    Parameters
    ----------
    photo : ndarray of uint8, (height, width, 3)
    record : ObjectRecord
    side : int, optional
        Longest side of each of its pictures.
    columns : int, optional
        Pictures in a row, at most.

    Raises
    ------
    DataError
        If the object has no clicks.
    """
    pictures = _story(photo, record, side)
    columns = max(1, min(columns, len(pictures)))
    width, height, gap = pictures[0].width, pictures[0].height, 6
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index % columns * (width + gap), index // columns * (height + gap)))
    return sheet


def save_story(path: str | PathLike[str], photo: np.ndarray, record: ObjectRecord, side: int = 480) -> None:
    """Write an object click by click: as a strip to a ``.png`` file, as an animation to a ``.gif`` file.

    Raises
    ------
    DataError
        If the object has no clicks, or the name ends in something else.
    ImageError
        If the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".gif"):
        raise DataError(f"{path.name!r} must end in .png, for a strip, or in .gif, for an animation")
    try:
        if suffix == ".png":
            strip(photo, record, side).save(path)
        else:
            first, *others = _story(photo, record, side)
            seconds = [800] * len(others) + [2500]
            first.save(path, save_all=True, append_images=others, duration=seconds if others else 2500, loop=0)
    except OSError as error:
        raise ImageError(f"the pictures cannot be written to {str(path)!r} ({error}); choose another place") from error
