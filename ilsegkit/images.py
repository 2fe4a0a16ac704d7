"""Any image a user may have, as 8-bit RGB."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from .errors import ImageError

__all__ = ["fitting_mask", "image_size", "read_image", "read_mask", "resize_mask", "write_mask"]

BITS_PER_SAMPLE, ORIENTATION = 258, 274  # TIFF's tags
#: By TIFF's orientation: how many quarters a picture has to be turned to the left, and whether it is mirrored before.
TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (1, True), 6: (3, False), 7: (3, True), 8: (1, False)}
NOT_FINITE = "the image holds NaN or infinity; replace these values first"


def read_image(source: str | PathLike[str] | Image.Image | np.ndarray | Any) -> np.ndarray:
    """Read an image from a path, a PIL image or an array and give 8-bit RGB.

    Parameters
    ----------
    source : path, PIL.Image.Image or array_like
        Arrays are ``(height, width)`` or ``(height, width, 1 | 3 | 4)``. Floats in 0-1 are scaled by 255, booleans become
        black and white, and everything else that does not fit 8 bits (16-bit scans, floats of another range) is stretched
        from its own smallest to its own largest value. Alpha is laid over white. Pictures that a camera has turned are
        turned upright, as their EXIF tag says.

    Returns
    -------
    ndarray of uint8, (height, width, 3)
        A copy of its own.

    Raises
    ------
    ImageError
        If the file is missing or damaged, the array has another shape, is empty, or holds NaN or infinity. Colours of 16 bits
        are read from arrays, and from TIFF files if the package tifffile is there; as PNG they are refused.

    Examples
    --------
    >>> read_image(np.array([[0, 1], [2, 65535]], np.uint16))[..., 0].tolist()
    [[0, 0], [0, 255]]
    """
    if isinstance(source, str | PathLike):
        path = Path(source)
        try:
            return read_image(_open(path))
        except ImageError as error:
            if repr(fspath(path)) in str(error):
                raise
            raise ImageError(f"{fspath(path)!r} cannot be used: {error}") from None
    if isinstance(source, Image.Image):
        orientation = _orientation(source)
        try:
            if source.mode in ("P", "LA", "PA", "CMYK", "YCbCr", "HSV", "LAB"):
                source = source.convert("RGBA" if source.mode in ("P", "LA", "PA") else "RGB")
            source = _upright(np.asarray(source), orientation)
        except (OSError, SyntaxError, ValueError) as error:  # it is decoded only now
            raise ImageError(f"this image cannot be decoded ({error}); is its file damaged, or closed?") from error
    try:
        array = np.asarray(source)
    except (ValueError, OSError) as error:
        raise ImageError(f"this cannot be used as an image ({error}); give a path, a PIL image or an array") from error
    return _to_rgb8(array)


@contextmanager
def _reading(path: str | PathLike[str], kind: str) -> Iterator[Image.Image]:
    """The file of an image, closed afterwards; whatever Pillow raises for one that it cannot read becomes an `ImageError`."""
    try:
        with Image.open(path) as file:
            yield file
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"there is no {kind} file {fspath(path)!r}; check the path") from None
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{fspath(path)!r} has more pixels than Pillow reads ({error}); cut it into tiles, or, if you trust it, set "
            "PIL.Image.MAX_IMAGE_PIXELS = None"
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        article = "an" if kind == "image" else "a"
        raise ImageError(
            f"{fspath(path)!r} cannot be read as {article} {kind} ({error}); is it damaged or of another kind?"
        ) from error


def _open(path: Path) -> Image.Image | np.ndarray:
    with _reading(path, "image") as file:
        if _is_deep(file, path):
            return _colour_tiff(path)
        file.load()
        return file


def _is_deep(file: Image.Image, path: Path) -> bool:
    """Whether colours have more than 8 bits, of which Pillow would keep the high byte alone: a scan of 12 bits is nearly black.

    If they cannot be read in another way either, it is an `ImageError`.
    """
    if file.mode not in ("RGB", "RGBA", "RGBX"):
        return False
    if max(getattr(file, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))) > 8:
        if find_spec("tifffile") is None:
            raise ImageError(
                f"{fspath(path)!r} has colours of 16 bits, for which tifffile is needed: pip install tifffile, or give an array"
            )
        return True
    if any(";16" in str(tile[3]) for tile in getattr(file, "tile", ())):
        raise ImageError(f"{fspath(path)!r} has colours of 16 bits, which cannot be read from such a file; give an array")
    return False


def _colour_tiff(path: Path) -> np.ndarray:
    """The first page of a TIFF in colour of more than 8 bits."""
    from tifffile import TiffFile

    with TiffFile(path) as file:
        page: Any = file.pages[0]
        pixels, orientation = page.asarray(), page.tags.get(ORIENTATION)
        if page.planarconfig == 2:  # one plane after the other
            pixels = np.moveaxis(pixels, 0, -1)
        if pixels.shape[-1] == 4 and not {1, 2} & set(page.extrasamples):
            pixels = pixels[..., :3]  # a fourth band that is no alpha: infrared, say
    return _upright(pixels, 1 if orientation is None else int(orientation.value))


def _orientation(picture: Image.Image) -> int:
    """How the camera was held, by EXIF's numbers; 1, upright, if nothing says otherwise."""
    try:
        value = picture.getexif().get(ORIENTATION)
    except Exception:  # damaged metadata does not make a bad picture, and Pillow raises what it likes
        return 1
    return value if isinstance(value, int) and value in TURNS else 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """A picture, ``(height, width, ...)``, turned as its metadata say."""
    turned, mirrored = TURNS.get(orientation, (0, False))
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, turned)


def _to_rgb8(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "buif":
        raise ImageError(f"an image of type {array.dtype} cannot be used; give a path, a PIL image or an array of numbers")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ImageError(f"an image of shape {array.shape} cannot be used; it must be H x W, H x W x 3 or H x W x 4")
    if array.size == 0:
        raise ImageError(f"the image is empty (shape {array.shape})")
    alpha = None
    if array.shape[2] == 4:
        array, alpha = array[..., :3], array[..., 3:].astype(np.float32)
        if array.dtype.kind in "bf" and alpha.max() <= 1:
            full = 1.0
        else:
            full = 255.0 if alpha.max() <= 255 else float(np.iinfo(np.uint16).max)
        alpha = np.clip(np.nan_to_num(alpha) / full, 0, 1)
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        values = array.astype(np.float32)
        if not np.isfinite(values).all():
            raise ImageError(NOT_FINITE)
        low, high = float(values.min()), float(values.max())
        if array.dtype.kind == "f" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        elif array.dtype.kind != "f" and low >= 0 and high <= 255:
            low, high = 0.0, 255.0
        array = np.rint((values - low) * (255.0 / max(high - low, 1e-12))).astype(np.uint8)
    if alpha is not None:
        array = np.rint(array * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3))).copy()


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as `read_image` gives it, if it can be read; cheap for JPEG.

    Raises
    ------
    ImageError
        As `read_image` does.
    """
    with _reading(path, "image") as file:
        if file.format != "JPEG" and _is_deep(file, path):
            rows, columns = _colour_tiff(path).shape[:2]
            return rows, columns
        width, height = file.size
        if file.format == "JPEG":
            file.draft("L", (max(width // 8, 1), max(height // 8, 1)))  # an eighth of the size, but every byte is read
            file.load()
        else:
            file.load()
            width, height = file.size  # Pillow turns a TIFF while it reads it
            if file.mode == "F" and not np.isfinite(np.asarray(file)).all():
                raise ImageError(f"{fspath(path)!r} cannot be used: {NOT_FINITE}")
        return (width, height) if _orientation(file) >= 5 else (height, width)  # the camera lay on its side


def read_mask(path: str | PathLike[str]) -> np.ndarray:
    """Read an image of labels: ``(height, width)`` integers, as they stand in the file; of channels that are alike the first.

    Raises
    ------
    ImageError
        If the file is missing or damaged, or in colour.
    """
    channels = _mask_channels(path)
    if (channels != channels[..., :1]).any():
        raise ImageError(f"{fspath(path)!r} is a colour picture; save labels in shades of grey, or with a palette")
    return channels[..., 0]


def _mask_channels(path: str | PathLike[str]) -> np.ndarray:
    """A file of a mask, ``(height, width, channels)``, without alpha."""
    with _reading(path, "mask") as file:
        pixels = np.asarray(file)
        pixels = _upright(pixels, _orientation(file))
        alpha = file.mode in ("LA", "PA", "La", "RGBA", "RGBa")
    return pixels[..., None] if pixels.ndim == 2 else pixels[..., : pixels.shape[2] - alpha]


def fitting_mask(source: Any, size: tuple[int, int], name: str, kind: str) -> np.ndarray:
    """The mask of an image, bool, (height, width).

    Parameters
    ----------
    source : path or array_like
        The object is what is not 0.
    size : tuple of int
        Height and width of the image.
    name : str
        Of the image.
    kind : str
        What the mask is, for messages.

    Raises
    ------
    ImageError
        If it cannot be read, or has another size than the image.

    Examples
    --------
    >>> fitting_mask([[0, 255]], (1, 2), "a.png", "true mask").tolist()
    [[False, True]]
    """
    mask = _mask_channels(source).any(-1) if isinstance(source, str | PathLike) else np.asarray(source)
    if mask.ndim != 2 or mask.dtype.kind not in "buif":
        raise ImageError(
            f"a {kind} of shape {mask.shape} and type {mask.dtype} cannot be used; give a path, or an array of height x width"
        )
    (height, width), (rows, columns) = size, mask.shape
    if (rows, columns) != (height, width):
        raise ImageError(f"{name!r} is {width} x {height} pixels but its {kind} {columns} x {rows}; they must be alike")
    return mask.astype(bool)


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask, bool, or numbered regions, uint8 or uint16, at another size, by nearest neighbour.

    Examples
    --------
    >>> resize_mask(np.eye(2, dtype=bool), 2, 4).astype(int).tolist()
    [[1, 1, 0, 0], [0, 0, 1, 1]]
    """
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def write_mask(path: str | PathLike[str], mask: np.ndarray) -> None:
    """Write a mask as a PNG of 0 and 255, which looks right in any viewer; never half a file.

    Raises
    ------
    ImageError
        If the file cannot be written.
    """
    path = Path(path)
    scratch = path.with_name(f".{path.name}.part")
    try:
        Image.fromarray(np.asarray(mask, bool).astype(np.uint8) * 255).save(scratch, format="PNG")
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise ImageError(f"the mask cannot be written to {str(path)!r} ({error}); choose another place") from error
