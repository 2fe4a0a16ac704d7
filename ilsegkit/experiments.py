"""The paper's experiments as data, at three sizes, and the code that runs them (Kontogianni et al., ECCV 2020, section
4).

``offline`` runs the bundled model on synthetic scenes, ``small`` on small real sets, and ``paper`` a model of the
preset "paper" on the paper's own sets, by Algorithm 1 and with the paper's λ, γ, rates and steps. One thing is not the
paper's: Ω of Eq. 3 is scaled to mean 1 here, so the same γ may hold the model more or less firmly than there. Every
object's record is saved as it comes, so a run that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from .adaptation import PAPER, Adaptation, named_adaptation
from .data import FolderDataset, Sample, open_sequence
from .data.sequences import ObjectSequence, Spec
from .data.store import roots
from .errors import DataError
from .evaluation import Results, evaluate, fingerprint, identity
from .model import InteractiveSegmenter, load_model
from .report import Report, Used
from .session import Session

__all__ = ["EXPERIMENTS", "PROFILES", "Experiment", "Method", "OwnFolder", "Profile", "results_folder", "run"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Profile:
    """How large an experiment is.

    Attributes
    ----------
    name, images : str
        The images in a few words.
    most : int or None
        Objects of each sequence at most.
    max_clicks : int
        The cap of the robot user; a miss counts as this many.
    literal : bool
        Algorithm 1 and the paper's settings (but see above for γ), instead of those stored with the weights.
    """

    name: str
    images: str
    most: int | None
    max_clicks: int = 20
    literal: bool = False

    def __str__(self) -> str:
        return self.told("the bundled model")

    def told(self, model: str) -> str:
        """The profile in a line, with the model in a few words; it is another one with the paper's settings."""
        objects = "all objects" if self.most is None else f"at most {self.most} objects of a sequence"
        if self.literal:
            model = "your own model; Algorithm 1 and the paper's settings (Ω scaled to mean 1)"
        return f"{self.name}: {self.images}; {objects}, at most {self.max_clicks} clicks on each; {model}"


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("offline", "SYNTHETIC scenes, made by a program", 8, max_clicks=6),
        Profile("small", "small sets of real images", 10),
        Profile("paper", "the paper's own sets", None, literal=True),
    )
}

#: Where the paper departs from its one learning rate for SA (section 4.4).
SEQUENCE_RATES = {"drions": 1e-5}


@dataclass(frozen=True)
class Method:
    """A row of a table.

    Attributes
    ----------
    name, mode : str
        The mode is one of `ilsegkit.adaptation.MODES`.
    corrections : bool
        Whether the clicks are in the loss; without, λ = 0 and only the prediction and Eq. 3 are left (section 4.5).
    """

    name: str
    mode: str
    corrections: bool = True

    def adaptation(self, model: InteractiveSegmenter, profile: Profile, sequence: str) -> Adaptation:
        """Its settings for a model, a profile and a sequence."""
        chosen = named_adaptation(self.mode, None if profile.literal else model.adaptation)
        image, later = chosen.image, chosen.sequence
        if later is not None and profile.literal:
            later = replace(later, rate=SEQUENCE_RATES.get(sequence, PAPER["SA"].rate))
        if not self.corrections:
            image, later = (None if s is None else replace(s, lam=0.0, confident=None) for s in (image, later))
        return Adaptation(image, later)


FOUR = tuple(Method(name, mode) for name, mode in (("initial", "none"), ("IA", "IA"), ("SA", "SA"), ("IA+SA", "IA+SA")))


@dataclass(frozen=True)
class OwnFolder:
    """A folder that is no set of the manifest; or a smaller copy of one, taken where it lies in a data root."""

    name: str
    folder: str
    target_iou: float
    instead: str | None = None  # the sequence it is a copy of


@dataclass(frozen=True)
class Experiment:
    """What the paper did, what it found, and what stands for it at each size.

    Attributes
    ----------
    published : mapping of row to mapping of column to float
        The numbers of the paper's table, in clicks.
    not_measured : frozenset of str, optional
        Columns of `published` that stand beside the others for reading only: no sequence here measures them.
    parts : mapping of profile to sequence of (str or OwnFolder)
        Names of `ilsegkit.data.SEQUENCES`, or folders.
    averages : mapping of str to sequence of str, optional
        Columns over the objects of several sequences together.
    most : mapping of profile to int, optional
        Another number of objects of each sequence than the profile's.

    Examples
    --------
    >>> EXPERIMENTS["table3"].published["SA"]
    {'DRIONS-DB@90 (110)': 3.6, 'Rooftop@80 (65)': 3.6}
    >>> EXPERIMENTS["table3"].sequences("paper")
    ['drions', 'rooftop']
    """

    title: str
    source: str
    methods: tuple[Method, ...]
    published: Mapping[str, Mapping[str, float]]
    parts: Mapping[str, Sequence[str | OwnFolder]]
    averages: Mapping[str, Sequence[str]] = field(default_factory=dict)
    not_measured: frozenset[str] = frozenset()
    most: Mapping[str, int] = field(default_factory=dict)

    def size(self, profile: str) -> Profile:
        """A profile, with the number of objects that this experiment takes."""
        size = PROFILES[profile]
        return replace(size, most=self.most.get(profile, size.most))

    def table(self) -> pd.DataFrame:
        """The numbers of the paper's table."""
        return Report(self.title, self.source, self.published, []).published()

    def sequences(self, profile: str) -> list[str]:
        """The names of its sequences at a size."""
        return [_name(part) for part in self.parts[profile]]


def _rows(columns: str, rows: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """A table written down as text; '-' is a number that the paper does not give."""
    names = columns.split("; ")
    return {
        row: {name: float(value) for name, value in zip(names, values.split(), strict=True) if value != "-"}
        for row, values in rows.items()
    }


#: The paper gives one number for it. It is not run here: whether box or area is meant is not known to us.
WITHOUT_SMALL = "COCO unseen without objects under 80x80 px@85"

HORSES = OwnFolder("horses", "eval/horses", 0.85)
FUNDUS = OwnFolder("fundus_disc", "eval/fundus_disc", 0.90, instead="fundus-disc-101")

EXPERIMENTS: dict[str, Experiment] = {
    "table1": Experiment(
        "Distribution shift",
        "Table 1 and Figure 3a/b",
        FOUR,
        _rows(
            f"Berkeley@90; YouTube-VOS@85; COCO seen@85; COCO unseen@85; COCO unseen 6k@85; {WITHOUT_SMALL}",
            {
                "initial": "5.4 8.8 10.0 11.9 13.2 -",
                "IA": "4.9 7.4 9.1 10.7 10.6 -",
                "SA": "5.3 6.9 9.7 10.6 10.0 -",
                "IA+SA": "4.9 - 9.1 9.9 9.3 5.6",
            },
        ),
        {
            "offline": ("scenes-shift",),
            "small": ("grabcut-20", "davis2016-val-10pct", "coco-val-100"),
            "paper": ("berkeley", "youtube-vos", "coco-seen", "coco-unseen", "coco-unseen-6k"),
        },
        not_measured=frozenset({WITHOUT_SMALL}),
    ),
    "table2": Experiment(
        "Class specialization",
        "Table 2 and Figure 3c",
        FOUR,
        _rows(
            "donut@85 (2540); bench@85 (3500); umbrella@85 (3979); bed@85 (1450)",
            {
                "initial": "11.6 15.1 13.1 6.8",
                "IA": "9.2 14.1 11.9 5.5",
                "SA": "7.1 14.0 11.1 5.5",
                "IA+SA": "6.5 13.3 10.2 5.0",
            },
        ),
        {
            "offline": ("scenes-moths",),
            "small": (HORSES, "coco-val-100-person"),
            "paper": ("coco-donut", "coco-bench", "coco-umbrella", "coco-bed"),
        },
        most={"small": 20},  # they take few clicks, so there is time for more of them
    ),
    "table3": Experiment(
        "Domain change",
        "Table 3 and Figure 5",
        FOUR,
        _rows(
            "DRIONS-DB@90 (110); Rooftop@80 (65)",
            {
                "initial": "13.3 8.9",
                "IA": "11.4 6.3",
                "SA": "3.6 3.6",
                "IA+SA": "3.1 3.6",
            },
        ),
        {
            "offline": ("scenes-fundus", "scenes-rooftops"),
            "small": (FUNDUS, "aerial-buildings-130", "nuclei-60"),  # nuclei are ours: the paper has no such domain
            "paper": ("drions", "rooftop"),
        },
    ),
    "table4": Experiment(
        "Against the state of the art",
        "Table 4",
        (FOUR[0], FOUR[3]),
        _rows(
            "VOC12 val@85; GrabCut@90; Berkeley@90; DAVIS16 10%@85; COCO seen@85; COCO unseen@85; COCO average@85",
            {
                "iFCN + graph cut": "6.88 6.04 8.65 - 8.31 7.82 7.94",
                "TSLFN": "4.58 3.76 6.49 - - - 9.62",
                "ITIS": "3.80 5.60 - - - - -",
                "CAG": "3.62 3.58 5.60 - 5.40 6.10 5.93",
                "BRS": "- 3.60 5.08 5.58 - - -",
                "Latent Diversity": "- 4.79 - 5.95 - - 7.86",
                "initial": "3.44 3.29 5.36 6.44 10.03 11.93 11.51",
                "IA+SA": "3.18 3.07 4.94 5.57 9.14 9.87 9.69",
            },
        ),
        {
            "offline": ("scenes-shift",),
            "small": ("grabcut-20", "davis2016-val-10pct", "coco-val-100"),
            "paper": ("voc2012-val", "grabcut", "berkeley", "davis16-10pct", "coco-seen", "coco-unseen"),
        },
        averages={"COCO average": ("coco-seen", "coco-unseen")},
    ),
    "ablation": Experiment(
        "What the corrections in the loss are worth",
        "Section 4.5",
        (
            FOUR[0],
            Method("IA without corrections", "IA", corrections=False),
            FOUR[1],
            Method("SA without corrections", "SA", corrections=False),
            FOUR[2],
        ),
        _rows("COCO unseen 6k@85", {"initial": "13.2", "IA": "10.6", "SA without corrections": "11.9", "SA": "10.0"}),
        {"offline": ("scenes-moths",), "small": ("coco-val-100-person",), "paper": ("coco-unseen-6k",)},
        most={"small": 20},
    ),
}


def run(
    name: str,
    profile: str = "offline",
    model: InteractiveSegmenter | None = None,
    out: str | PathLike[str] | None = None,
    root: str | PathLike[str] | None = None,
    sequences: Sequence[str] | None = None,
    most: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Report:
    """Run an experiment, or go on with one.

    Parameters
    ----------
    name : str
        A key of `EXPERIMENTS`.
    profile : {"offline", "small", "paper"}, optional
    model : InteractiveSegmenter, optional
        θ*; the bundled one if left out. The profile "paper" has none of its own.
    out : path, optional
        The folder for the records; if left out, the one named by ``ILSEGKIT_RESULTS``, else ``runs/experiments``. Records of
        another model or other settings there are not touched.
    root : path, optional
        Where the data sets lie, see `ilsegkit.data.open_dataset`.
    sequences : sequence of str, optional
        Only these; several processes can share the work this way.
    most : int, optional
        Another number of objects of each sequence.
    seed : int, optional
        Decides which objects are drawn, and their order.
    progress : bool, optional
        Show a bar for each sequence and method until it is done.

    Returns
    -------
    Report

    Raises
    ------
    DataError
        If there is no such experiment or profile, the profile needs a model or another one, or none of its data is there.

    Examples
    --------
    >>> report = run("table2", "small")  # doctest: +SKIP
    >>> report.clicks(), report.savings(), report.figure()  # doctest: +SKIP
    """
    if name not in EXPERIMENTS:
        raise DataError(f"there is no experiment {name!r}; choose one of {', '.join(EXPERIMENTS)}")
    if profile not in PROFILES:
        raise DataError(f"there is no profile {profile!r}; choose one of {', '.join(PROFILES)}")
    experiment, size = EXPERIMENTS[name], PROFILES[profile]
    if model is None:
        if size.literal:
            raise DataError(
                "the profile 'paper' needs a model of your own; train it with 'ilsegkit train --preset paper', give its weights"
            )
        model = load_model()
    if size.literal:
        _refuse_what_is_not_the_papers(model)
    if most is not None and most < 1:
        raise DataError(f"a sequence cannot have {most} objects; give 1 or more")
    size = experiment.size(profile) if most is None else replace(size, most=most)
    parts = dict(zip(experiment.sequences(profile), experiment.parts[profile], strict=True))
    if unknown := set(sequences or ()) - set(parts):
        raise DataError(f"{name} has no sequence {unknown.pop()!r}; choose from {', '.join(parts)}")
    used: dict[str, Used] = {}
    missing: dict[str, str] = {}
    for label in sequences or parts:
        try:
            objects = _open(parts[label], seed, root, size.most)
        except DataError as error:
            log.warning("%s is left out: %s", label, error)
            missing[label] = str(error)
            continue
        results = _run_through(objects, experiment.methods, model, size, results_folder(out) / profile / label, progress)
        used[label] = Used(label, objects.spec.synthetic, objects.skipped, results)
    if not used:
        raise DataError(f"none of the data of {name} is there: {'; '.join(missing.values())}")
    pooled = [
        _together(column, [used[label] for label in labels])
        for column, labels in experiment.averages.items()
        if set(labels) <= set(used)
    ]
    bundled = size.literal or fingerprint(model) == fingerprint(load_model(device="cpu"))
    told = size.told("the bundled model" if bundled else f"your own model ({model.config.architecture}:{model.config.encoder})")
    return Report(experiment.title, experiment.source, experiment.published, list(used.values()), missing, pooled, told)


def _refuse_what_is_not_the_papers(model: InteractiveSegmenter) -> None:
    """Without Ω, Eq. 3 would hold all parameters alike; with zoom, Algorithm 1 would look at windows."""
    if model.importance is None:
        raise DataError(
            "the profile 'paper' needs weights with an importance for Eq. 3; write them with "
            "'ilsegkit importance DATA --weights WEIGHTS --out NEW'"
        )
    if model.config.zoom is not None:
        raise DataError("the profile 'paper' needs a model without zoom; train one with 'ilsegkit train --preset paper'")


def results_folder(out: str | PathLike[str] | None = None) -> Path:
    """Where results go: the folder given, else the one named by ``ILSEGKIT_RESULTS``, else ``runs/experiments``."""
    return Path(out or os.environ.get("ILSEGKIT_RESULTS") or "runs/experiments").expanduser()


def _run_through(
    objects: ObjectSequence,
    methods: Sequence[Method],
    model: InteractiveSegmenter,
    size: Profile,
    folder: Path,
    progress: bool,
) -> dict[str, Results]:
    """The results of each method on a sequence; what is recorded already is not measured again."""
    # Scenes take time to be made, so they are made once for all methods.
    samples: Sequence[Sample] = list(objects) if objects.spec.synthetic else objects
    target = objects.spec.target_iou
    results = {}
    for method in methods:
        session = Session(model, method.adaptation(model, size, objects.spec.name), objects.seed)
        # Other objects in another order, or corrected ones, are other records.
        ids = [row["object_id"] for row in objects.rows()]
        setting = json.dumps([identity(samples, session), size.max_clicks, target, objects.seed, ids])
        key = hashlib.sha256(setting.encode()).hexdigest()[:8]
        records = folder / f"{method.name.replace(' ', '-')}-{key}.jsonl"
        results[method.name] = evaluate(samples, session, target, size.max_clicks, records=records, progress=progress)
    return results


def _together(name: str, parts: Sequence[Used]) -> Used:
    """Several sequences as one."""
    results = {
        method: Results([record for part in parts for record in part.results[method].records], r.target_iou, r.max_clicks)
        for method, r in parts[0].results.items()
    }
    return Used(name, parts[0].synthetic, sum(part.skipped for part in parts), results)


def _name(part: str | OwnFolder) -> str:
    return part if isinstance(part, str) else part.name


def _open(part: str | OwnFolder, seed: int, root: str | PathLike[str] | None, most: int | None) -> ObjectSequence:
    """The objects of a sequence of the manifest, or of a folder in a data root."""
    if isinstance(part, str):
        return open_sequence(part, seed, root, most)
    for base in roots(root):
        if (base / part.folder).is_dir():
            objects = FolderDataset(base / part.folder)
            order = np.random.default_rng(seed).permutation(len(objects))[:most]
            spec = Spec(part.name, "class", "small", part.name, part.target_iou)
            return ObjectSequence(spec, seed, objects.subset(order.tolist()))
    if part.instead is not None:
        return open_sequence(part.instead, seed, root, most)
    raise DataError(
        f"there is no folder {part.folder!r} in a data root, and no address to download it from; put images/ and masks/ into "
        "one of that name, in a root that ILSEGKIT_DATA names"
    )
