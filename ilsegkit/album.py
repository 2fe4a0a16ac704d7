"""The images to work through, by name: given in whatever way is at hand, read only when they are looked at."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set, ValuesView
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from .data.base import IMAGE_SUFFIXES, images_in
from .data.sample import Sample
from .data.store import home_expanded
from .errors import ImageError
from .images import fitting_mask, read_image

__all__ = ["Album", "Photo"]

THUMBNAIL = 96  # pixels, longest side


class Photo(NamedTuple):
    """An image with what is known about it.

    Attributes
    ----------
    pixels : ndarray of uint8, (height, width, 3)
    truth : ndarray of bool, (height, width), or None
        The object to segment.
    ignore : ndarray of bool, (height, width), or None
        Pixels that do not count when a mask is compared with the truth.
    class_name : str or None
    start : ndarray of bool, (height, width), or None
        A mask to begin with.
    """

    pixels: np.ndarray
    truth: np.ndarray | None = None
    ignore: np.ndarray | None = None
    class_name: str | None = None
    start: np.ndarray | None = None


class Album:
    """Images by name.

    Parameters
    ----------
    images : image, folder, sequence of images or samples, or mapping of str to image
        An image is a path, a PIL image, an array (see `ilsegkit.images.read_image`) or a `Sample`, which knows its object.
        A folder stands for the image files in it, in the order of their names.
    truth : mapping of str to mask, optional
        The true object of images by name: arrays, or paths of masks whose object is not 0.
    start : mapping of str to mask, optional
        The mask to begin with, given in the same way.

    Raises
    ------
    ImageError
        If there is no image, or a name in `truth` or `start` has none.

    Examples
    --------
    >>> album = Album({"left": np.zeros((4, 6)), "right": np.ones((4, 6))})
    >>> list(album), album["right"].pixels.shape, album.after("left"), album.after("left", -1)
    (['left', 'right'], (4, 6, 3), 'right', 'right')
    """

    def __init__(self, images: Any, truth: Mapping[str, Any] | None = None, start: Mapping[str, Any] | None = None) -> None:
        self._sources = dict(_named(images))
        self._decoding = Lock()
        if not self._sources and isinstance(images, str | PathLike):
            raise ImageError(
                f"there is no image in {str(images)!r}; give a folder with files of {', '.join(sorted(IMAGE_SUFFIXES))}"
            )
        if not self._sources:
            raise ImageError("there is no image to click on; give one image, a list, a folder, or a dict of names and images")
        self._truth, self._start = dict(truth or {}), dict(start or {})
        for kind, masks in (("true mask", self._truth), ("mask to start from", self._start)):
            if unknown := sorted(set(masks) - set(self._sources)):
                raise ImageError(f"there is a {kind} for {unknown[0]!r} but no image of that name")

    def __len__(self) -> int:
        return len(self._sources)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __contains__(self, name: object) -> bool:
        return name in self._sources

    def __getitem__(self, name: str) -> Photo:
        source = self.source(name)
        known = source if isinstance(source, Sample) else None
        pixels = self._read(source)
        truth = self._truth.get(name, None if known is None else known.mask)
        start = self._start.get(name)
        return Photo(
            pixels,
            None if truth is None else fitting_mask(truth, pixels.shape[:2], name, "true mask"),
            None if known is None else known.ignore,
            None if known is None else known.class_name,
            None if start is None else fitting_mask(start, pixels.shape[:2], name, "mask to start from"),
        )

    def source(self, name: str) -> Any:
        """What was given for a name: a path, an array and so on.

        Raises
        ------
        ImageError
            If there is no such name.
        """
        if name not in self._sources:
            raise ImageError(f"there is no image {name!r}; choose one of {', '.join(self._sources)}")
        container, key = self._sources[name]
        return container[key]

    def _read(self, source: Any) -> np.ndarray:
        image = source.image if isinstance(source, Sample) else source
        # An opened PIL image decodes itself when it is asked for pixels; two threads at once would get a mixture.
        with self._decoding if isinstance(image, Image.Image) else nullcontext():
            return read_image(image)

    def after(self, name: str, steps: int = 1) -> str:
        """The name some steps further on; after the last comes the first."""
        names = list(self)
        return names[(names.index(name) + steps) % len(names)]

    def thumbnail(self, name: str) -> bytes:
        """A small JPEG of the image; of a large JPEG file only an eighth is decoded.

        Raises
        ------
        ImageError
            If the image cannot be read.
        """
        source = self.source(name)
        if isinstance(source, str | PathLike) and Path(source).suffix.lower() in (".jpg", ".jpeg"):
            try:
                with Image.open(source) as file:
                    file.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
                    picture = Image.fromarray(read_image(file))
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                raise ImageError(f"{str(source)!r} cannot be read as an image ({error})") from error
        else:
            picture = Image.fromarray(self._read(source))
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        target = io.BytesIO()
        picture.save(target, format="JPEG", quality=80)
        return target.getvalue()


def _named(images: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Names that differ, each with a container and a key: what is lazy stays so until it is asked for."""
    if isinstance(images, Mapping):
        yield from ((str(name), (images, name)) for name in images)
        return
    if isinstance(images, str | PathLike):
        images = home_expanded(images)
    if isinstance(images, Path) and not images.exists():
        raise ImageError(f"there is no image file or folder {str(images)!r}; check the path")
    if isinstance(images, Path) and images.is_dir():
        images = images_in(images)
    if isinstance(images, Iterator | Set | ValuesView):
        images = list(images)
    # Not all that has a length and items is a Sequence: PyTorch's data sets are none. Arrays and tensors are images.
    several = isinstance(images, Sequence) or (
        hasattr(images, "__len__") and hasattr(images, "__getitem__") and not hasattr(images, "shape")
    )
    entries = getattr(images, "entries", None)  # a data set of ours knows the names of its objects without reading them
    taken = set()
    paths = [Path(image) for image in images if isinstance(image, str | PathLike)] if isinstance(images, list | tuple) else []
    folders: dict[str, set[Path]] = defaultdict(set)
    for path in paths:
        folders[path.name].add(path.resolve().parent)
    depths = {name: _telling(list(parents)) for name, parents in folders.items()}
    for index in range(len(images) if several else 1):
        if entries is not None:
            name = entries[index].object_id
        elif several and not isinstance(images, list | tuple):
            name = f"image {index + 1}"
        else:
            image = images[index] if several else images
            name = f"image {index + 1}"
            if isinstance(image, str | PathLike):
                name = Path(image).name
                if depth := depths.get(name, 0):  # not by its place in the list, which may be another tomorrow
                    name = "/".join([*Path(image).resolve().parent.parts[-depth:], name])
            elif isinstance(image, Sample):
                name = image.object_id
        unique = name if name not in taken else f"{name} ({index + 1})"
        taken.add(unique)
        yield unique, (images, index) if several else ([images], 0)


def _telling(folders: list[Path]) -> int:
    """How many names of each folder, from its end, it takes to tell them apart."""
    depth = 0
    while len({folder.parts[-depth:] if depth else () for folder in folders}) < len(folders):
        depth += 1
    return depth
