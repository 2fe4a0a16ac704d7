"""The robot user segments a sequence of objects (section 4.1); every object's record is saved as it comes."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import ConcatDataset, Subset
from tqdm.auto import tqdm

from .clicks import RULES, next_click
from .data.sample import Sample
from .data.store import home_expanded
from .errors import DataError
from .lock import locked
from .metrics import clicks_to_reach, iou, iou_after, mean_interval
from .session import Session

log = logging.getLogger(__name__)

#: Seconds between two writings of what SA has learned: with large networks that is a gigabyte.
SAVE_EVERY = 60.0

__all__ = ["Results", "evaluate", "fingerprint", "segment_object"]


class Results:
    """What `evaluate` measured. Means over no records are NaN.

    Parameters
    ----------
    records : list of dict
        One for each object, in the order they were segmented: ``object_id``, ``class_name``, ``image_id``, ``clicks`` (each
        ``[x, y, label]``), and for each click ``iou``, ``respected`` (how many of the clicks so far the mask agrees with)
        and ``seconds``.
    target_iou : float
    max_clicks : int

    Examples
    --------
    >>> results = Results([{"object_id": "a", "iou": [0.5, 0.9]}, {"object_id": "b", "iou": [0.7]}], 0.85, 20)
    >>> results.clicks_each().tolist(), results.clicks_at(), round(results.iou_at(1), 3)
    ([2, 20], 11.0, 0.6)
    """

    def __init__(self, records: list[dict[str, Any]], target_iou: float, max_clicks: int) -> None:
        self.records, self.target_iou, self.max_clicks = records, target_iou, max_clicks

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Results:
        """What is in a file of records, which `evaluate` wrote; of an evaluation that was stopped, what there is.

        Raises
        ------
        DataError
            If it is not there, or is none.
        """
        path = home_expanded(path)
        lines = _lines(path)
        if not lines:
            raise DataError(f"there are no records in {str(path)!r}; check the path")
        return cls(lines[1:], lines[0]["target_iou"], lines[0]["max_clicks"])

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        clicks = f"{self.clicks_at():.2f} clicks to reach {100 * self.target_iou:g}%" if self.records else "nothing measured"
        return f"<Results: {len(self)} objects, {clicks}, at most {self.max_clicks}>"

    def clicks_at(self, target_iou: float | None = None) -> float:
        """clicks@q%: the mean of `clicks_each`."""
        return _mean(self.clicks_each(target_iou).tolist())

    def clicks_each(self, target_iou: float | None = None) -> np.ndarray:
        """How many clicks each object took to reach an IoU, the one that was aimed at if left out: int, (objects,).

        Raises
        ------
        DataError
            If it is higher than the one aimed at (objects were left when they reached that), or not in 0-1.
        """
        target = self.target_iou if target_iou is None else target_iou
        _check_target(target)
        if target > self.target_iou:
            raise DataError(f"objects were left at IoU {self.target_iou}; evaluate with target_iou={target} for clicks at that")
        return np.array([clicks_to_reach(r["iou"], target, self.max_clicks) for r in self.records], int)

    def saved_against(self, other: Results, confidence: float = 0.95) -> pd.Series:
        """Clicks saved per object against another way to segment the same objects, with a bootstrap interval over them.

        Parameters
        ----------
        other : Results
            What it is compared with, for example of the initial model.
        confidence : float, optional
            Of the interval, in 0-1; one that holds 0 means that it may be chance.

        Returns
        -------
        pandas.Series
            The mean, ``saved``, and the interval, ``from`` and ``to``.

        Raises
        ------
        DataError
            If the objects, the target or the cap differ.

        Examples
        --------
        >>> slow, quick = ([{"object_id": "a", "iou": [*[0.5] * k, 0.9]}] for k in (4, 1))
        >>> Results(quick, 0.85, 20).saved_against(Results(slow, 0.85, 20))["saved"]
        np.float64(3.0)
        """
        ours, theirs = ([r.get("object_id") for r in results.records] for results in (self, other))
        if ours != theirs or (self.target_iou, self.max_clicks) != (other.target_iou, other.max_clicks):
            raise DataError("these are results of other objects, or for another IoU or number of clicks; evaluate both alike")
        saved = other.clicks_each() - self.clicks_each()
        low, high = mean_interval(saved, confidence)
        return pd.Series({"saved": saved.mean(), "from": low, "to": high})

    def iou_at(self, clicks: int) -> float:
        """IoU@k: mean IoU after so many clicks; objects that reached the target earlier keep the IoU they were left with.

        Raises
        ------
        DataError
            If no object got so many.
        """
        self._check_clicks(clicks)
        return _mean(iou_after(r["iou"], clicks) for r in self.records)

    def _check_clicks(self, clicks: int) -> None:
        if clicks < 1:
            raise DataError(f"there is no IoU@{clicks}: before the first click there is no mask; give 1 or more")
        if clicks > self.max_clicks:
            raise DataError(f"objects got at most {self.max_clicks} clicks, so there is no IoU@{clicks}; evaluate with more")

    def curve(self) -> pd.Series:
        """IoU@k for k = 1 to the most clicks, indexed by k."""
        counts = range(1, self.max_clicks + 1)
        return pd.Series([self.iou_at(k) for k in counts], pd.Index(counts, name="clicks"), name="IoU")

    def over_time(self, clicks: int = 4, window: int = 10) -> pd.Series:
        """IoU@k against the number of objects processed, as a running mean: the learning curve of SA (Fig. 5).

        Raises
        ------
        DataError
            If no object got so many clicks.
        """
        self._check_clicks(clicks)
        index = pd.Index(range(1, len(self) + 1), name="objects processed")
        values = pd.Series([iou_after(r["iou"], clicks) for r in self.records], index, name=f"IoU@{clicks}")
        return values.rolling(window, min_periods=1).mean()

    def respected(self) -> float:
        """Share of clicks, counted anew after every click, that the mask agrees with; 1 if there are none."""
        counted = sum(k + 1 for r in self.records for k in range(len(r["respected"])))
        return sum(sum(r["respected"]) for r in self.records) / counted if counted else 1.0

    def seconds_per_click(self) -> float:
        """Median time from click to mask, without the robot user's own."""
        seconds = [s for r in self.records for s in r["seconds"]]
        return float(pd.Series(seconds).median()) if seconds else 0.0

    def to_frame(self) -> pd.DataFrame:
        """A row for each object: id, class, clicks to reach the target, and IoU after 1, 2, 4 and 10 clicks, up to the cap."""
        return pd.DataFrame(
            {
                "object_id": r["object_id"],
                "class_name": r.get("class_name"),
                f"clicks@{100 * self.target_iou:g}%": clicks_to_reach(r["iou"], self.target_iou, self.max_clicks),
                **{f"IoU@{k}": iou_after(r["iou"], k) for k in (1, 2, 4, 10) if k <= self.max_clicks},
            }
            for r in self.records
        )

    def plot(self, ax=None, **options):
        """Draw IoU@k on Matplotlib axes (new ones if left out) and give them; options go to ``Axes.plot``."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=(5, 3.5))[1]
        curve = self.curve()
        ax.plot(curve.index, curve, **{"marker": ".", **options})
        ax.set(xlabel="clicks", ylabel="mean IoU", xlim=(0.5, self.max_clicks + 0.5))
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        return ax


def evaluate(
    dataset: Sequence[Sample],
    session: Session,
    target_iou: float = 0.85,
    max_clicks: int = 20,
    rule: str = "paper",
    records: str | PathLike[str] | None = None,
    progress: bool = True,
) -> Results:
    """Let the robot user segment every object of a data set, in order, until it is good enough or has taken too many clicks.

    Parameters
    ----------
    dataset : sequence of Sample
    session : Session
        Goes through the objects with whatever adaptation it is set to; SA carries over from one to the next.
    target_iou : float, optional
        An object that has reached it gets no more clicks.
    max_clicks : int, optional
        The cap; a miss counts as this many.
    rule : str, optional
        The robot user, see `ilsegkit.clicks.RULES`.
    records : path, optional
        A file of JSON lines that gets each object's record as it comes. If it has some from an earlier call with the same
        arguments and a session that had learned the same, usually a new one, the evaluation goes on after them. What SA had
        learned is kept beside it, with ``.state`` after its name, written every minute and when the evaluation ends or is
        interrupted; a process that is killed loses at most the last minute.
    progress : bool, optional
        Show a bar until it is done.

    Returns
    -------
    Results

    Raises
    ------
    DataError
        If the file of records belongs to another evaluation (other arguments, objects, weights, or a session that has
        learned something since) or is none, the target is not in 0-1, or an argument is of another kind.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.full((48, 64, 3), 90, np.uint8)
    >>> image[10:30, 20:40] = 220
    >>> sample = Sample(image, image[..., 0] > 100, object_id="square")
    >>> results = evaluate([sample], Session(adapt="none"), target_iou=0.5, max_clicks=3, progress=False)
    >>> len(results)
    1
    """
    if isinstance(session, torch.nn.Module) or isinstance(dataset, str | PathLike):
        raise DataError("an evaluation takes a data set and a session: evaluate(FolderDataset(folder), Session(model, adapt))")
    if max_clicks < 1:
        raise DataError(f"an object cannot get {max_clicks} clicks at most; give 1 or more")
    _check_target(target_iou)
    if not isinstance(rule, str) or rule not in RULES:
        raise DataError(
            f"there is no robot user {rule!r}; choose one of {', '.join(RULES)}, or add yours to ilsegkit.clicks.RULES"
        )
    if not hasattr(dataset, "__len__"):
        raise DataError("an evaluation goes through its objects more than once; give list(...) of what makes them")
    if session.clicks:
        session.reset()  # an object that was not finished is not part of this
    log = None
    if records is not None:
        header = {"target_iou": target_iou, "max_clicks": max_clicks, "rule": rule, **identity(dataset, session)}
        log = _Records(home_expanded(records), header, session, [name for name, _ in _objects(dataset) or ()])
    done = log.done if log else []
    way = "fixed" if session.adapt == "none" else session.adapt
    bar = tqdm(total=len(dataset), initial=len(done), desc=way, unit="object", disable=not progress, leave=False)
    try:
        for index in range(len(done), len(dataset)):
            record = segment_object(dataset[index], session, target_iou, max_clicks, rule)
            done.append(record)
            if log:
                log.save(record, session)
            bar.update()
            bar.set_postfix({"clicks": f"{Results(done, target_iou, max_clicks).clicks_at():.2f}"})
    finally:
        bar.close()
        if log:
            log.close()
    return Results(done, target_iou, max_clicks)


def segment_object(
    sample: Sample,
    session: Session,
    target_iou: float,
    max_clicks: int,
    rule: str = "paper",
    on_mask: Callable[[np.ndarray], object] | None = None,
) -> dict[str, Any]:
    """One object, from its first click to `Session.finish`: its record, see `Results`; `on_mask` gets each mask."""
    if not isinstance(sample, Sample):
        raise DataError(f"an object to segment is an ilsegkit.Sample, not of type {type(sample).__name__}; make it one")
    if sample.mask.shape != sample.image.shape[:2]:
        raise DataError(
            f"the mask of {sample.object_id!r} has the shape {sample.mask.shape}, its image {sample.image.shape[:2]}"
        )
    if not sample.mask.any():
        log.warning("the mask of %r is empty, so the object counts as a miss; leave it out", sample.object_id)
    session.set_image(sample.image)
    record: dict[str, Any] = {"object_id": sample.object_id, "class_name": sample.class_name, "image_id": sample.image_id}
    record |= {"clicks": [], "iou": [], "respected": [], "seconds": []}
    mask = session.mask
    while len(record["iou"]) < max_clicks:
        click = next_click(mask, sample.mask, sample.ignore, session.clicks, rule)
        if click is None:
            break
        began = time.perf_counter()
        mask = session.click(*click)
        record["seconds"].append(round(time.perf_counter() - began, 4))
        if on_mask is not None:
            on_mask(mask)
        record["clicks"].append([click.x, click.y, int(click.positive)])
        record["iou"].append(iou(mask, sample.mask, sample.ignore))
        record["respected"].append(sum(bool(mask[round(c.y), round(c.x)]) == c.positive for c in session.clicks))
        if record["iou"][-1] >= target_iou:
            break
    session.finish()
    return record


def _check_target(target_iou: float) -> None:
    if not 0 <= target_iou <= 1:
        raise DataError(f"the target IoU {target_iou:g} is not between 0 and 1; write 0.85 for 85%")


def _mean(values: Iterable[float]) -> float:
    of = list(values)
    return sum(of) / len(of) if of else math.nan


def fingerprint(model: torch.nn.Module) -> str:
    """A short hash of all that decides what a model answers and learns: records of different models must not be mixed.

    Parameters, buffers, importance and configuration (the input size among them) are in it.

    Examples
    --------
    >>> fingerprint(torch.nn.Linear(2, 1)) == fingerprint(torch.nn.Linear(2, 1))
    False
    """
    digest = hashlib.sha256(repr(getattr(model, "config", None)).encode())
    for tensors in (model.state_dict(), getattr(model, "importance", None) or {}):
        for name in sorted(tensors):
            digest.update(tensors[name].detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def identity(dataset: Sequence[Sample], session: Session) -> dict[str, Any]:
    """What decides the records beside the numbers given to `evaluate`: session, and objects by areas and the first and last.

    Examples
    --------
    >>> import numpy as np
    >>> sample = Sample(np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), bool), "all")
    >>> sorted(identity([sample], Session(adapt="SA")))
    ['adaptation', 'data', 'model', 'objects', 'random']
    """
    content = hashlib.sha256(repr(sorted(area for _, area in _objects(dataset) or ())).encode())  # the order is checked by ids
    for index in sorted({0, len(dataset) - 1}) if len(dataset) else ():
        sample = dataset[index]
        content.update(repr((sample.object_id, sample.image.shape)).encode())
        for pixels in (sample.image, sample.mask, sample.ignore):
            content.update(b"" if pixels is None else pixels.tobytes())
    found: dict[str, Any] = {"objects": len(dataset), "data": content.hexdigest()[:12]}
    found |= {"adaptation": asdict(session.adaptation), "model": fingerprint(session.model)}
    if session.adaptation.sequence is not None:
        found["random"] = hashlib.sha256(json.dumps(session.state_dict()["rng"]).encode()).hexdigest()[:12]
    return found


def _objects(dataset: Any) -> list[tuple[str, int]] | None:
    """Ids and areas of the objects, in their order, where they can be told without reading them."""
    if isinstance(dataset, Subset):
        objects = _objects(dataset.dataset)
        return None if objects is None else [objects[index] for index in dataset.indices]
    if isinstance(dataset, ConcatDataset):
        parts = [_objects(part) for part in dataset.datasets]
        return None if None in parts else [found for part in parts for found in part or ()]
    if isinstance(dataset, list | tuple) and all(isinstance(sample, Sample) for sample in dataset):
        return [(sample.object_id, int(np.count_nonzero(sample.mask))) for sample in dataset]
    entries = getattr(dataset, "entries", None)  # of scenes, areas are not known before they are painted
    return None if entries is None else [(entry.object_id, getattr(entry, "area", 0)) for entry in entries]


def _json(content: Any) -> str:
    """As JSON; numbers may be NumPy's, and what it has no word for, such as a path, is told as text."""
    return json.dumps(content, default=lambda value: value.item() if hasattr(value, "item") else str(value))


def _lines(path: Path) -> list[dict[str, Any]]:
    """The header and the records in a file; none if it is not there. What is something else is not ours to write over."""
    something_else = DataError(f"{str(path)!r} is there and holds no records of an evaluation; name a new file, or remove it")
    if not path.is_file():
        return []
    try:
        text = path.read_text()
        # A line without its end was being written when the evaluation was stopped.
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    except ValueError:
        raise something_else from None
    complete = lines and all(isinstance(line, dict) for line in lines) and {"target_iou", "max_clicks"} <= lines[0].keys()
    if text and not complete:
        raise something_else
    return lines


class _Records:
    """Records on disk. The first line says which evaluation they belong to."""

    def __init__(self, path: Path, header: dict[str, Any], session: Session, ids: Sequence[str]) -> None:
        """`ids` are the objects' where they are known, else empty."""
        if path.is_dir():
            raise DataError(f"{str(path)!r} is a folder and holds no records of an evaluation; name a new file")
        self.path, self.state = path, path.with_name(f"{path.name}.state")
        self.done: list[dict[str, Any]] = []
        self.learned: dict[str, Any] | None = None  # not written yet
        self.written = time.monotonic()
        self.header = header = json.loads(_json(header))
        path.parent.mkdir(parents=True, exist_ok=True)
        busy = f"another evaluation is writing {str(path)!r}; wait for it, or name another file"
        self.lock = locked(path.with_name(f".{path.name}.lock"), busy)
        try:
            self._begin(session, ids)
        except BaseException:
            self.lock.release()
            raise

    def _begin(self, session: Session, ids: Sequence[str]) -> None:
        """Take up what is there, if it is of this evaluation."""
        path, header = self.path, self.header
        lines = _lines(path)
        if lines[1:]:
            if lines[0] != header:
                different = sorted(k for k in header if lines[0].get(k) != header[k])
                hint = " or, to go on with them, give a new session: this one is not as new" if "random" in different else ""
                raise DataError(
                    f"{str(path)!r} has the records of another evaluation ({', '.join(different)}); name a new file{hint}"
                )
            self.done = lines[1:]
            for number, (record, wanted) in enumerate(zip(self.done, ids, strict=False), 1):
                if record["object_id"] != json.loads(_json(wanted)):
                    raise DataError(
                        f"{str(path)!r} has {record['object_id']!r} as object {number}, where {wanted!r} is now: these are "
                        "other objects, or in another order; name a new file"
                    )
        if session.adaptation.sequence is not None:
            self._go_on(session)
        scratch = path.with_name(f".{path.name}.part")  # whoever is killed now still has the old records
        scratch.write_text("".join(_json(line) + "\n" for line in (header, *self.done)))
        scratch.replace(path)

    def _go_on(self, session: Session) -> None:
        """The weights must be those after the last record; a record they do not know of is measured again."""
        state = None
        if self.done and self.state.is_file():
            try:
                state = torch.load(self.state, map_location="cpu", weights_only=True)  # perhaps written where there was a GPU
                fits = state["header"] == self.header and state["records"] <= len(self.done)
            except Exception as error:  # torch raises whatever its readers raise
                raise DataError(
                    f"{str(self.state)!r} cannot be read ({error!r:.100}); remove it, and the objects are measured again"
                ) from error
            state = state if fits else None  # of an evaluation whose records are gone
        if state is None and self.done and len(self.done) == self.header["objects"]:
            log.warning("%s is complete, but what was learned is not beside it: the session has learned nothing", self.path)
            return
        if state is None:
            if self.done:
                old = self.path.with_name(f"{self.path.name}.old")
                self.path.replace(old)
                log.warning(
                    "what was learned is not beside %s: its %d objects are measured again, and kept as %s",
                    *(self.path, len(self.done), old.name),
                )
            self.done = []
            self.state.unlink(missing_ok=True)
            return
        self.done = self.done[: state["records"]]
        session.load_state_dict(state["session"])

    def save(self, record: dict[str, Any], session: Session) -> None:
        with self.path.open("a") as file:
            file.write(_json(record) + "\n")
        if session.adaptation.sequence is not None:
            self.learned = {"header": self.header, "records": len(self.done), "session": session.state_dict()}
            if time.monotonic() - self.written > SAVE_EVERY:
                self.save_state()

    def close(self) -> None:
        try:
            self.save_state()
        finally:
            self.lock.release()

    def save_state(self) -> None:
        if self.learned is not None:
            scratch = self.state.with_name(f".{self.state.name}.part")
            torch.save(self.learned, scratch)
            scratch.replace(self.state)
            self.learned, self.written = None, time.monotonic()
