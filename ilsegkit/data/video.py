"""Videos: DAVIS 2016 (https://davischallenge.org) and YouTube-VOS 2019 (https://youtube-vos.org)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from ..errors import DataError
from .base import LabelMaps, ObjectEntry, ObjectSet

__all__ = ["Davis", "YouTubeVOS"]


class Davis(ObjectSet):
    """DAVIS 2016: one object in each frame of a video, by video, then by number.

    Layout: ``DAVIS/JPEGImages/480p/VIDEO/N.jpg``, ``DAVIS/Annotations/480p/VIDEO/N.png`` and, for `split`,
    ``DAVIS/ImageSets/2016/SPLIT.txt``. The archive of DAVIS 2017 numbers the objects of a video; together they are the one of
    2016.

    Parameters
    ----------
    root : path
        The folder of the set.
    split : {"train", "val", "trainval"}, optional
        The videos of DAVIS 2016 that ``ImageSets`` lists; all videos that are there if left out.
    check : bool, optional
        See `ObjectSet`.
    """

    needs = ("JPEGImages/480p", "Annotations/480p")

    def __init__(self, root: str | PathLike[str], split: str | None = None, check: bool = True) -> None:
        self.split = split
        super().__init__(root, check)

    def _videos(self) -> set[str] | None:
        if self.split is None:
            return None
        names: set[str] = set()
        for part in ("train", "val") if self.split == "trainval" else (self.split,):
            path = self.root / "ImageSets" / "2016" / f"{part}.txt"
            try:
                lines = path.read_text(encoding="utf-8").split("\n")
            except OSError:
                raise DataError(
                    f"there is no list {str(path)!r}; choose split train, val or trainval, or leave it out"
                ) from None
            # One video a line, or one frame: /JPEGImages/480p/VIDEO/N.jpg and its mask.
            first = [line.split()[0] for line in lines if line.strip()]
            names |= {name.split("/")[-2] if "/" in name else name for name in first}
        return names

    def _candidates(self) -> Iterator[ObjectEntry]:
        images, masks = (self.root / part for part in self.needs)
        videos = self._videos()
        frames = {(path.parent.name, path.stem) for folder in (images, masks) for path in folder.glob("*/*.*")}
        for video, frame in sorted(frames):
            if videos is None or video in videos:
                name = f"{video}/{frame}"
                yield ObjectEntry(images / f"{name}.jpg", masks / f"{name}.png", name, name)


class YouTubeVOS(LabelMaps):
    """YouTube-VOS: every object in the first frame it is annotated in.

    Layout: ``SPLIT/JPEGImages/VIDEO/N.jpg``, ``SPLIT/Annotations/VIDEO/N.png`` (the numbers of the objects) and, for their
    classes, ``SPLIT/meta.json``.

    Parameters
    ----------
    root : path
        The folder of the set.
    split : str, optional
        The folder of the split: ``"test"`` as in the paper, or ``"valid"`` or ``"train"``.
    check : bool, optional
        See `ObjectSet`.
    """

    def __init__(self, root: str | PathLike[str], split: str = "test", check: bool = True) -> None:
        self.split = split
        super().__init__(self._split_home(Path(root), split), check)

    @classmethod
    def home(cls, folder: str | PathLike[str]) -> Path:
        base = super().home(folder)
        if not any(next(base.glob(f"{above}Annotations"), None) for above in ("", "*/", "*/*/")):
            raise DataError(f"there is no folder 'Annotations' in {str(base)!r}; give the folder of YouTube-VOS")
        return base

    @staticmethod
    def _split_home(root: Path, split: str) -> Path:
        for folder in (root / split, *sorted(root.glob(f"*/{split}")), root):
            if (folder / "Annotations").is_dir() and (folder / "JPEGImages").is_dir():
                return folder
        raise DataError(f"there is no folder {split!r} with JPEGImages and Annotations in {str(root)!r}; name another split")

    def _maps(self) -> Iterator[tuple[str, Path, Path]]:
        for video in sorted(path for path in (self.root / "Annotations").iterdir() if path.is_dir()):
            for mask in sorted(video.glob("*.png")):
                name = f"{video.name}/{mask.stem}"
                yield name, self.root / "JPEGImages" / f"{name}.jpg", mask

    def _candidates(self) -> Iterator[ObjectEntry]:
        meta = self.root / "meta.json"
        try:
            videos = json.loads(meta.read_text(encoding="utf-8"))["videos"] if meta.is_file() else {}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{str(meta)!r} is no list of YouTube-VOS ({error!r}); fetch it again or remove it") from error
        seen: set[tuple[str, int]] = set()
        for entry in super()._candidates():
            video = entry.image_id.partition("/")[0]
            if (video, entry.label) not in seen:
                seen.add((video, entry.label))
                known = videos.get(video, {}).get("objects", {}).get(str(entry.label), {})
                yield entry._replace(object_id=f"{video}:{entry.label}", class_name=known.get("category"))
