"""The sequences of objects that the experiments run through, at three sizes (Kontogianni et al., ECCV 2020, section 4).

``offline`` needs no network (scenes made by a program, see `ilsegkit.data.scenes`), ``small`` some megabytes of real images,
``paper`` the paper's own sets.

Which objects are drawn, and in which order, follows from the SHA-256 of seed and object id. So the same seed gives the same
list on every machine and with every version of NumPy, a damaged file changes no other choice, and of 100 objects a class the
first 10 are those of 10 a class.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import DataError
from .base import ObjectEntry, ObjectSet
from .catalog import open_dataset
from .sample import Sample
from .scenes import Scenes

__all__ = ["SEEN_CLASSES", "SEQUENCES", "ObjectSequence", "Spec", "load_sequence", "open_sequence", "sequences"]

#: The classes of VOC, on which the paper's model was trained, by COCO's names; the other 60 are "unseen".
SEEN_CLASSES = frozenset(
    (
        *("airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table", "dog", "horse"),
        *("motorcycle", "person", "potted plant", "sheep", "couch", "train", "tv"),
    )
)
EXPERIMENTS = ("shift", "class", "domain", "comparison", "tuning")
SIZES = ("offline", "small", "paper")


@dataclass(frozen=True)
class Spec:
    """What a sequence consists of.

    Attributes
    ----------
    name : str
    experiment : {"shift", "class", "domain", "comparison", "tuning"}
        Distribution shift, class specialization, domain change, comparison with earlier methods, choice of hyper-parameters.
    size : {"offline", "small", "paper"}
    dataset : str
        Id in the manifest, or a domain of `Scenes`.
    target_iou : float
        The q of clicks@q.
    classes : {"seen", "unseen"} or str, optional
        Only objects of these classes, or of the one of that name.
    per_class : int, optional
        So many objects of each class.
    share : float, optional
        This share of all objects.
    most : int, optional
        So many objects at most.
    options : dict, optional
        For the loader.
    """

    name: str
    experiment: str
    size: str
    dataset: str
    target_iou: float
    classes: str | None = None
    per_class: int | None = None
    share: float | None = None
    most: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Whether the images are made by a program. Such results never stand in a table with real ones."""
        return self.size == "offline"


#: All sequences by name.
SEQUENCES: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        Spec("berkeley", "shift", "paper", "berkeley", 0.90),
        Spec("youtube-vos", "shift", "paper", "youtube-vos-2019", 0.85),
        Spec("coco-seen", "shift", "paper", "coco-val2014", 0.85, "seen", 10),
        Spec("coco-unseen", "shift", "paper", "coco-val2014", 0.85, "unseen", 10),
        Spec("coco-unseen-6k", "shift", "paper", "coco-val2014", 0.85, "unseen", 100),
        *(Spec(f"coco-{name}", "class", "paper", "coco-val2014", 0.85, name) for name in ("donut", "bench", "umbrella", "bed")),
        Spec("drions", "domain", "paper", "drions-db", 0.90),
        Spec("rooftop", "domain", "paper", "rooftop", 0.80),
        Spec("voc2012-val", "comparison", "paper", "voc2012", 0.85),
        Spec("grabcut", "comparison", "paper", "grabcut", 0.90),
        Spec("davis16-10pct", "comparison", "paper", "davis2016", 0.85, share=0.1, options={"split": "trainval"}),
        # The paper says "a subset", not which.
        Spec("ade20k", "tuning", "paper", "ade20k", 0.85, per_class=2),
        Spec("grabcut-20", "shift", "small", "grabcut-20", 0.90),
        Spec("davis2016-val-10pct", "shift", "small", "davis2016-val-10pct", 0.85),
        Spec("coco-val-100", "shift", "small", "coco-val-100", 0.85),
        Spec("coco-val-100-person", "class", "small", "coco-val-100", 0.85, "person"),
        Spec("fundus-disc-101", "domain", "small", "fundus-disc-101", 0.90),
        Spec("aerial-buildings-130", "domain", "small", "aerial-buildings-130", 0.80),
        Spec("nuclei-60", "domain", "small", "nuclei-60", 0.85, options={"largest_each": True}),
        Spec("scenes-shift", "shift", "offline", "shift", 0.85, most=60),
        Spec("scenes-moths", "class", "offline", "moths", 0.85, most=60),
        Spec("scenes-fundus", "domain", "offline", "fundus", 0.90, most=60),
        Spec("scenes-rooftops", "domain", "offline", "rooftops", 0.80, most=60),
        Spec("scenes-cells", "domain", "offline", "cells", 0.85, most=60),
    )
}


def sequences(size: str, experiment: str | None = None) -> list[Spec]:
    """The sequences of a size, of all experiments or one.

    Raises
    ------
    DataError
        If there is no such size or experiment.

    Examples
    --------
    >>> [spec.name for spec in sequences("offline", "domain")]
    ['scenes-fundus', 'scenes-rooftops', 'scenes-cells']
    """
    if size not in SIZES:
        raise DataError(f"there is no size {size!r}; choose one of {', '.join(SIZES)}")
    if experiment not in (None, *EXPERIMENTS):
        raise DataError(f"there is no experiment {experiment!r}; choose one of {', '.join(EXPERIMENTS)}")
    return [spec for spec in SEQUENCES.values() if spec.size == size and experiment in (None, spec.experiment)]


class ObjectSequence(Sequence[Sample]):
    """The objects of a sequence, in order; each is read, or made, when it is asked for.

    Attributes
    ----------
    spec : Spec
    seed : int
    objects : ObjectSet or Scenes
    skipped : int
        How many were chosen, or are in a small set, but are left out, because their files are damaged.
    """

    def __init__(self, spec: Spec, seed: int, objects: ObjectSet | Scenes) -> None:
        self.spec, self.seed, self.objects = spec, seed, objects
        self.skipped = objects.skipped

    @property
    def entries(self) -> Sequence[Any]:
        """What is known of each object before it is read or made: its ids and class, at least."""
        return self.objects.entries

    def __len__(self) -> int:
        return len(self.objects)

    def __getitem__(self, index):
        return self.objects[index]

    def rows(self) -> list[dict[str, str]]:
        """A row for each object: sequence, seed, object_id, image_id, class_name."""
        return [
            {
                "sequence": self.spec.name,
                "seed": str(self.seed),
                "object_id": entry.object_id,
                "image_id": entry.image_id,
                "class_name": entry.class_name or "",
            }
            for entry in self.entries
        ]

    def save(self, path: str | PathLike[str]) -> None:
        """Write the list as CSV, to be read by `load_sequence`; byte for byte the same everywhere."""
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.rows()[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows())


def open_sequence(name: str, seed: int = 0, root: str | PathLike[str] | None = None, most: int | None = None) -> ObjectSequence:
    """Open a sequence by name.

    Parameters
    ----------
    name : str
        A key of `SEQUENCES`.
    seed : int, optional
        Decides which objects are drawn, and their order; for scenes, everything.
    root : path, optional
        See `ilsegkit.data.open_dataset`.
    most : int, optional
        Only so many objects: the first ones; of scenes, some from beginning to end.

    Returns
    -------
    ObjectSequence

    Raises
    ------
    DataError
        If there is no such sequence, or its data set is not there.

    Examples
    --------
    >>> sequence = open_sequence("scenes-fundus", most=3)
    >>> len(sequence), sequence[0].class_name, sequence.spec.synthetic
    (3, 'optic disc', True)
    """
    spec = _spec(name)
    if most is not None and most < 1:
        raise DataError(f"a sequence cannot have {most} objects; give 1 or more")
    if not isinstance(seed, Integral) or seed < 0:
        raise DataError(f"the seed {seed!r} is no whole number from 0 on; choose one")
    if spec.synthetic:
        total = spec.most or 0
        few = total if most is None else min(most, total)  # spread over all of them, for the sake of a drift
        return ObjectSequence(spec, seed, Scenes(spec.dataset, total, seed).subset(i * total // few for i in range(few)))
    objects = _open(spec, root)
    chosen = _choose(objects.entries, spec, seed)[:most]
    if not chosen:
        raise DataError(f"there is no object for the sequence {name!r} in {str(objects.root)!r}; is the data set complete?")
    part = objects.subset(chosen)
    return ObjectSequence(spec, seed, part.check() if spec.size == "paper" else part)


def load_sequence(path: str | PathLike[str], root: str | PathLike[str] | None = None) -> ObjectSequence:
    """Open the sequence that a CSV file lists.

    Parameters
    ----------
    path : path
        As `ObjectSequence.save` writes it; lines may be left out or moved.
    root : path, optional
        See `ilsegkit.data.open_dataset`.

    Raises
    ------
    DataError
        If the file cannot be read, or lists an object that the data set does not have.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        [(name, seed)] = {(row["sequence"], int(row["seed"])) for row in rows}
        wanted = [row["object_id"] for row in rows]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{str(path)!r} cannot be read as a list of objects ({error}); save it again") from error
    spec = _spec(name)
    objects: ObjectSet | Scenes = Scenes(spec.dataset, spec.most or 0, seed) if spec.synthetic else _open(spec, root)
    places = {entry.object_id: index for index, entry in enumerate(objects.entries)}
    unknown = [object_id for object_id in wanted if object_id not in places]
    if unknown:
        names = ", ".join(unknown[:3])
        raise DataError(
            f"{str(path)!r} lists {len(unknown)} objects that {spec.dataset!r} does not have ({names}); is it complete?"
        )
    part = objects.subset([places[object_id] for object_id in wanted])
    return ObjectSequence(spec, seed, part.check() if isinstance(part, ObjectSet) else part)


def _spec(name: str) -> Spec:
    if name not in SEQUENCES:
        raise DataError(f"there is no sequence {name!r}; choose one of {', '.join(SEQUENCES)}")
    return SEQUENCES[name]


def _open(spec: Spec, root: str | PathLike[str] | None) -> ObjectSet:
    """Of the paper's large sets only the chosen objects are looked at, so that the choice does not depend on damaged files."""
    return open_dataset(spec.dataset, root, check=spec.size == "small", **spec.options)


def _choose(entries: Sequence[ObjectEntry], spec: Spec, seed: int) -> list[int]:
    """Indices of the objects of a sequence, in its order."""

    def rank(index: int) -> bytes:
        return hashlib.sha256(f"{seed}:{entries[index].object_id}".encode()).digest()

    chosen = sorted((i for i, entry in enumerate(entries) if _of_class(entry, spec.classes)), key=rank)
    if spec.per_class is not None:
        counts: Counter[str | None] = Counter()
        drawn = []
        for index in chosen:
            counts[entries[index].class_name] += 1
            if counts[entries[index].class_name] <= spec.per_class:
                drawn.append(index)
        chosen = drawn
    if spec.share is not None:
        chosen = chosen[: int(spec.share * len(chosen))]
    return chosen[: spec.most]


def _of_class(entry: ObjectEntry, classes: str | None) -> bool:
    if classes is None:
        return True
    if classes in ("seen", "unseen"):
        return entry.class_name is not None and (entry.class_name in SEEN_CLASSES) == (classes == "seen")
    return entry.class_name == classes
