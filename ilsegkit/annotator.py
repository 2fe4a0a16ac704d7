"""One person's work on an album: the object at hand, the finished ones, and what each click changed.

It knows nothing of pages and threads: `ilsegkit.widget` shows it, tests and scripts can drive it. Every method says in one
line what was done. If one fails, everything is as it was before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from .adaptation import OnStep
from .album import Album, Photo
from .clicks import Click, next_click
from .errors import ClickError, DataError, ImageError, WeightsError
from .evaluation import fingerprint
from .images import fitting_mask
from .metrics import iou
from .project import Project
from .records import STAGE_SIDE, ObjectRecord, Stage, numbered, shrunk
from .runs import decode_mask, encode_mask

__all__ = ["Annotator", "class_names", "clicks_needed"]

#: An existing mask is told to the model by at most so many clicks of the robot user, or until it agrees so well.
SEEDS, SEED_IOU = 5, 0.95


class _Base(NamedTuple):
    """A mask that the object was started from, and what the model said of it then.

    One that was given stands at every threshold; one that was made here is what the model's was at its `threshold`.
    """

    mask: np.ndarray
    probability: np.ndarray
    threshold: float | None


class Annotator:
    """Goes through an album with a session and keeps what comes of it.

    Parameters
    ----------
    session : Session
    album : Album
    project : Project, optional
        Where everything is saved at once; what it holds from earlier is taken up again.
    classes : sequence of str, optional
        What an object can be; the first is the default.

    Attributes
    ----------
    name : str
        Of the image at hand.
    photo : Photo
    finished : dict of str to list of ObjectRecord
    class_name : str
        Class of the object at hand.
    threshold : float
        Probability from which a pixel belongs to the object.
    before : ndarray of bool, (height, width)
        The mask before the last click.
    opened : bool
        Whether an image has been opened; without one there is nothing to click on, and nothing is saved.

    Examples
    --------
    >>> from ilsegkit import Session
    >>> annotator = Annotator(Session(adapt="none"), Album({"grey": np.full((60, 80), 200, np.uint8)}))
    >>> _ = annotator.open("grey")
    >>> annotator.click([Click(40, 30)])[:10]
    '1 click · '
    >>> _ = annotator.finish()
    >>> annotator.finished["grey"][0].clicks
    (Click(x=40.0, y=30.0, positive=True),)
    """

    def __init__(
        self, session: Any, album: Album, project: Project | None = None, classes: Sequence[str] = ("object",)
    ) -> None:
        self.session, self.album, self.project = session, album, project
        self.classes = class_names(classes)
        if not self.classes:
            raise DataError("classes is empty; give at least one name, or leave it out")
        self.class_name, self.threshold = self.classes[0], 0.5
        self.name = next(iter(album))
        self.photo = Photo(np.zeros((1, 1, 3), np.uint8))
        self.opened = False
        self._notice = ""  # said when the first image is opened
        self.finished: dict[str, list[ObjectRecord]] = {name: [] for name in album}
        self.order: list[tuple[str, ObjectRecord]] = []  # finished objects as they were finished
        self._objects: np.ndarray | None = None  # `objects`, if it is known
        # A session may have been given settings of its own; they come back with their name.
        self._own_adaptation = {session.adapt: getattr(session, "adaptation", session.adapt)}
        if project is not None:
            self.finished |= {name: list(records) for name, records in project.finished.items() if name in album}
            self.order = [(name, record) for name, record in project.order() if name in album]
            state = project.learned()
            initial = None if state is None else fingerprint(session.initial_model())
            if state is not None and state.get("initial", initial) != initial:
                self._notice = (
                    f"What was learned in {project.folder.name!r} began with another model, so this one begins anew; "
                    "the old is kept beside what this one learns."
                )
            elif state is not None:
                try:
                    session.load_state_dict(state)
                except (KeyError, RuntimeError, ValueError) as error:
                    raise WeightsError(
                        f"what was learned in {str(project.folder)!r} belongs to another model; give the session that model, "
                        "or choose another folder"
                    ) from error
            if project.current is not None and project.current in album:
                self.name = project.current
        self._choices: tuple[str, float] | None = None  # class and threshold before a finished object was opened again
        self._start()

    def _start(self) -> None:
        """No clicks, no mask."""
        if self._choices is not None:
            (self.class_name, self.threshold), self._choices = self._choices, None
        self._stages: dict[tuple[Click, ...], Stage] = {}  # by the clicks that led there: undo and redo find them again
        # What is no click and can be undone: the clicks after it, and how to take it back.
        self._edits: list[tuple[tuple[Click, ...], Callable[[], str]]] = []
        self._seeds = 0
        self._base: _Base | None = None
        self._mask: np.ndarray | None = None
        self.before = np.zeros(self.photo.pixels.shape[:2], bool)

    # --- what is there ----------------------------------------------------------------------------------------------

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks of the object at hand."""
        return tuple(self.session.clicks)

    @property
    def mask(self) -> np.ndarray:
        """The object at hand, bool, (height, width)."""
        if not self.opened:
            return self.before
        if self._mask is None:
            self._mask = self._with_base(self._predicted())
        return self._mask

    @property
    def seeds(self) -> int:
        """How many of the clicks stand for the mask that was started from."""
        return min(self._seeds, len(self.clicks))

    @property
    def busy_with_object(self) -> bool:
        """Whether there is an object that would be lost."""
        return bool(self.clicks) or self._standing is not None

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back: a click by the user, or what else `undo` takes back."""
        return self._edited or (self.session.can_undo and len(self.clicks) > self._seeds)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone click to bring back."""
        return self.session.can_redo

    def masks(self, name: str) -> list[np.ndarray]:
        """The finished objects of an image, each bool, (height, width)."""
        return [decode_mask(record.mask) for record in self.finished[name] if record.mask is not None]

    @property
    def objects(self) -> np.ndarray:
        """Where the finished objects of the image at hand are, uint16, (height, width): see `ilsegkit.records.numbered`.

        However many there are, they take no more memory than this; do not change it.
        """
        if self._objects is None:
            self._objects = numbered(self.finished[self.name], self.photo.pixels.shape[:2])
        return self._objects

    def let_go(self) -> None:
        """Let go of the session and the photo, which take memory; the finished objects stay."""
        self.session = None
        height, width = self.photo.pixels.shape[:2]
        self.photo, self._objects = Photo(np.broadcast_to(np.uint8(0), (height, width, 3))), None
        self._start()
        self.before = np.broadcast_to(np.False_, (height, width))

    def record(self, with_mask: bool = True) -> ObjectRecord:
        """The object at hand, as it is now."""
        clicks, base = self.clicks, self._standing
        return ObjectRecord(
            clicks=clicks,
            stages=tuple(self._stages.get(clicks[: count + 1]) for count in range(len(clicks))),
            class_name=self.class_name,
            adapt=self.session.adapt,
            threshold=self.threshold,
            seeds=self.seeds,
            start=encode_mask(base.mask) if base is not None else None,
            mask=encode_mask(self.mask) if with_mask else None,
        )

    # --- what the user does -----------------------------------------------------------------------------------------

    def begin_with(self, name: str, said: str = "") -> None:
        """Choose the image that is to be opened first, and what is said then."""
        self.name, self._notice = name, " ".join(part for part in (self._notice, said) if part)

    def open(self, name: str) -> str:
        """Go to an image; an object at hand is finished first. What was left open in a project is taken up again.

        An image without objects begins with the mask to start from, if the album has one.
        """
        photo = self.album[name]
        if self.project is not None:
            self.project.check(name, photo.pixels.shape[:2])
        said = [self._notice]
        if self.opened:  # before, it is what somebody else did with the session
            said += [self._put_away()]
        self.opened, self._notice = True, ""
        self.session.set_image(photo.pixels)
        self.name, self.photo, self._objects = name, photo, None
        self._start()
        self.class_name = photo.class_name or self.class_name
        left = self.project.left_open(name) if self.project is not None else None
        if left is not None:
            with self._or_back_to(left):
                self._restore(left)
            said += [f"Taken up where you stopped: {self.summary()}"]
        elif photo.start is not None and photo.start.any() and not self.finished[name]:
            said += [self.start_from(photo.start)]
        else:
            self._save()
        return " ".join(part for part in said if part)

    def click(
        self,
        clicks: Sequence[Click],
        on_step: OnStep | None = None,
        on_prediction: Callable[[np.ndarray], object] | None = None,
    ) -> str:
        """Correct the mask; several clicks are answered by one run of the model."""
        *earlier, last = clicks
        before, began = self.mask, time.perf_counter()
        options: dict[str, Any] = {}
        if earlier:
            options["earlier"] = earlier
        if on_prediction is not None:
            options["on_prediction"] = lambda early: on_prediction(self._with_base(early, 0.5))  # where the early mask is cut
        self.session.click(last.x, last.y, last.positive, on_step=on_step, **options)
        self._changed(before, time.perf_counter() - began)
        return self.summary()

    def undo(self) -> str:
        """Take back the last click, deletion, reset, removal or opening of a finished object."""
        if self._edited:
            with self._or_back_to(self.record()):
                said = self._edits[-1][1]()
            self._edits.pop()
            self._save()
            return said
        if not self.can_undo:
            return "There is no click to undo."
        return self._stepped(self.session.undo)

    def redo(self) -> str:
        """Bring back the click that was undone last."""
        return self._stepped(self.session.redo) if self.can_redo else "There is no click to redo."

    def delete(self, index: int, on_step: OnStep | None = None) -> str:
        """Take out a single click; the model answers the others anew. `undo` brings it back."""
        clicks = self.clicks
        if not 0 <= index < len(clicks):
            raise ClickError(f"there is no click number {index + 1} to delete; there are {len(clicks)}")
        rest = clicks[:index] + clicks[index + 1 :]
        before, shown, began = self.record(), self.mask, time.perf_counter()
        with self._or_back_to(before):
            self._replay(rest, on_step)
            self._seeds = self._seeds - (index < self._seeds)
        self._edits.append((rest, lambda: self._bring_back(before)))
        self._changed(shown, time.perf_counter() - began)
        return f"Click {index + 1} is deleted; z brings it back. {self.summary()}"

    def reset(self) -> str:
        """Drop the object at hand; `undo` brings it back."""
        if not self.busy_with_object:
            return "There is nothing to reset."
        before, edits = self.record(), self._edits
        self.session.reset()
        self._start()
        self._edits = [*edits, ((), lambda: self._bring_back(before))]
        self._save()
        return "All clicks are dropped; z brings them back."

    def finish(self, on_step: OnStep | None = None) -> str:
        """Keep the mask; with SA the model learns from the object."""
        if not self.busy_with_object:
            return "There is nothing to finish yet: click on an object first."
        if not self.mask.any():
            return "The mask is empty, so there is nothing to finish: click on the object first."
        return f"{self._keep(on_step)} Click on the next."

    def _keep(self, on_step: OnStep | None = None) -> str:
        """The object at hand is finished; there is none any more."""
        record, mask = self.record(), self.mask
        self.session.finish(on_step=on_step, mask=mask)
        notice = f" {self.session.notice}" if self.session.notice else ""
        # Of all images of the folder, also those that are not in the album today.
        before = self.order if self.project is None else self.project.order()
        record = replace(record, number=1 + max((r.number for _, r in before), default=0))
        self.finished[self.name].append(record)
        self.order.append((self.name, record))
        if self._objects is not None:
            self._objects = np.where(mask, np.uint16(len(self.finished[self.name])), self._objects)
        self._start()
        self._save(self.session if "SA" in self.session.adapt else None)
        place = f"saved in {self.project.folder.name!r}" if self.project is not None else "kept in .masks"
        return f"Object {len(self.finished[self.name])} of {self.name!r} is finished and {place}.{notice}"

    def _put_away(self) -> str:
        """Make room for another object, and say how: the one at hand is finished, or dropped if its mask is empty."""
        if not self.busy_with_object:
            return ""
        if self.mask.any():
            return self._keep()
        self.session.reset()
        self._start()
        self._save()
        return "The object at hand had an empty mask and is dropped."

    def adapt(self, mode: str) -> str:
        """Choose how the model learns: none, IA, SA or IA+SA, also in the middle of an object."""
        self.session.adapt = self._own_adaptation.get(mode, mode)
        return self.summary()

    def set_threshold(self, value: float) -> str:
        """Choose the probability from which a pixel belongs to the object: higher makes it smaller."""
        if not 0 < value < 1:
            raise DataError(f"the threshold {value:g} is not between 0 and 1")
        if value == self.threshold:
            return self.summary()
        shown, self.threshold = self.mask, value
        if self._choices is not None:
            self._choices = self._choices[0], value
        self._shown_anew(shown)
        return self.summary()

    def set_class(self, name: str) -> str:
        """Say what the object at hand is, and those after it."""
        [self.class_name] = [name] = class_names([name])
        if self._choices is not None:
            self._choices = name, self._choices[1]
        self._save()
        return self.summary()

    def start_from(self, mask: np.ndarray | str | PathLike[str], on_step: OnStep | None = None) -> str:
        """Take an existing mask as the object at hand, to be corrected by clicks.

        The mask stands as it is, and a correction changes only what the model takes back or adds because of it. So that the
        model knows the object, the robot user clicks a few times first.

        Parameters
        ----------
        mask : array_like or path
            The object is what is not 0.
        on_step : callable, optional

        Raises
        ------
        ImageError
            If the mask cannot be read, is empty, or has another size than the image.
        """
        mask = fitting_mask(mask, self.photo.pixels.shape[:2], self.name, "mask to start from")
        if not mask.any():
            raise ImageError("the mask is empty; to begin with nothing, just click")
        said = self._put_away()
        with self._or_back_to(None):
            for _ in range(SEEDS):
                click = next_click(self.session.mask, mask, None, self.clicks)
                if click is None or iou(self.session.mask, mask) >= SEED_IOU:
                    break
                self.session.click(*click, on_step=on_step)
        self._seeds = len(self.clicks)
        self._base = _Base(mask.copy(), self.session.probability, None)
        self._mask = None
        self.before = self.mask
        self._save()
        return f"{said} Started from a mask of {mask.mean():.1%} of the photo. Click where it is wrong.".lstrip()

    def reopen(self, index: int, on_step: OnStep | None = None) -> str:
        """Make a finished object of this image the object at hand again; `undo` puts it back, as it was."""
        record = self._finished_object(index)
        said = self._put_away()
        self._choices = self.class_name, self.threshold
        with self._or_back_to(None):
            self._restore(record, on_step)
        self._forget(index)
        self._edits.append((self.clicks, lambda: self._close(index, record)))
        self._save()
        return f"{said} Object {index + 1} is open again: {self.summary()}".lstrip()

    def remove(self, index: int) -> str:
        """Drop a finished object of this image; what the model learned from it stays.

        `undo` brings it back, until another object is finished or another image opened.
        """
        record = self._finished_object(index)
        self._forget(index)
        self._edits.append((self.clicks, lambda: self._put_back(index, record)))
        self._save()
        return f"Object {index + 1} of {self.name!r} is removed; z brings it back."

    def forget(self) -> str:
        """Begin anew with the initial model; an object at hand is finished first, finished ones stay."""
        said = self._put_away()
        self.session.forget()
        self._start()
        self._save(self.session)
        return f"{said} What was learned is forgotten.".lstrip()

    def summary(self) -> str:
        """One line on the object at hand."""
        count = len(self.clicks)
        if not self.busy_with_object:
            return ""
        mode = "fixed" if self.session.adapt == "none" else self.session.adapt
        parts = [f"{count} click{'s' * (count != 1)}", f"{self.mask.mean():.1%} of the photo", mode]
        stage = self._stages.get(self.clicks)
        if stage is not None:
            parts += [f"{stage.seconds:.1f} s"] + ([f"IoU {stage.iou:.3f}"] if stage.iou is not None else [])
        return " · ".join(parts + ([self.session.notice] if self.session.notice else []))

    # --- how it works -----------------------------------------------------------------------------------------------

    def _predicted(self) -> np.ndarray:
        """What the model says now."""
        return self.session.mask if self.threshold == 0.5 else self.session.probability > self.threshold

    def _with_base(self, predicted: np.ndarray, threshold: float | None = None) -> np.ndarray:
        """The mask: where the model says what it said at the start, the mask that was started from stands.

        `threshold` is the one at which `predicted` is cut, if not at the present one.
        """
        base = self._standing
        if base is None:
            return predicted
        if threshold is None:
            threshold = self.threshold if base.threshold is None else base.threshold
        return np.where(predicted == (base.probability > threshold), base.mask, predicted)

    @property
    def _standing(self) -> _Base | None:
        """The mask that was started from; one that clicks made here goes with the last of them."""
        base = self._base
        return base if base is None or base.threshold is None or self.clicks else None

    def _changed(self, before: np.ndarray, seconds: float) -> None:
        """The model has answered the clicks: note what came of the last."""
        self._mask, self.before = None, before
        self._note(round(seconds, 3), round(float(np.mean(self.mask != before)), 6))
        self._save()

    def _shown_anew(self, before: np.ndarray) -> None:
        """The mask is another one, and so is what is noted of it with the last click."""
        self._mask, self.before = None, before
        if (stage := self._stages.get(self.clicks)) is not None:
            self._note(stage.seconds, stage.changed)
        self._save()

    def _note(self, seconds: float, changed: float) -> None:
        mask = self.mask
        truth = None if self.photo.truth is None else round(iou(mask, self.photo.truth, self.photo.ignore), 5)
        self._stages[self.clicks] = Stage(encode_mask(shrunk(mask, STAGE_SIDE)), seconds, changed, truth)

    def _stepped(self, step: Callable[[], object]) -> str:
        shown = self.mask
        step()
        self._shown_anew(shown)
        return self.summary()

    @property
    def _edited(self) -> bool:
        """Whether the last that was done, and is not undone, is an edit and no click."""
        return bool(self._edits) and self._edits[-1][0] == self.clicks

    def _bring_back(self, record: ObjectRecord) -> str:
        """Undo a deletion or a reset."""
        self._restore(record)
        return f"Brought back: {self.summary()}"

    def _put_back(self, index: int, record: ObjectRecord) -> str:
        """Undo a removal."""
        self.finished[self.name].insert(index, record)
        self._objects = None
        self.order = sorted([*self.order, (self.name, record)], key=lambda item: item[1].number)
        return f"Object {index + 1} of {self.name!r} is back."

    def _close(self, index: int, record: ObjectRecord) -> str:
        """Undo an opening: the object is finished, as it was."""
        edits = self._edits
        self.session.reset()
        self._start()
        self._edits = edits
        self._put_back(index, record)
        return f"Object {index + 1} of {self.name!r} is finished again, as it was."

    def _replay(self, clicks: Sequence[Click], on_step: OnStep | None = None) -> None:
        """All clicks anew, in one run of the model."""
        self.session.reset()
        if clicks:
            *earlier, last = clicks
            options = {"earlier": earlier} if earlier else {}
            self.session.click(last.x, last.y, last.positive, on_step=on_step, **options)

    def _restore(self, record: ObjectRecord, on_step: OnStep | None = None) -> None:
        """The object as it was recorded; the mask stands, whatever the model makes of the clicks by now."""
        self._replay(record.clicks, on_step)
        known = {record.clicks[: count + 1]: stage for count, stage in enumerate(record.stages) if stage is not None}
        self._stages |= known
        self.class_name, self.threshold, self._seeds = record.class_name, record.threshold, record.seeds
        self._base = None
        mask = None if record.mask is None else decode_mask(record.mask)
        if mask is not None and (mask != self._predicted()).any():
            given = record.seeds > 0 or not record.clicks
            self._base = _Base(mask, self.session.probability, None if given else self.threshold)
        self._mask = None
        self.before = self.mask

    @contextmanager
    def _or_back_to(self, record: ObjectRecord | None) -> Iterator[None]:
        """If what is done inside fails, the object is what it was: this one, or none. `undo` tries again if that fails, too."""
        edits = self._edits
        try:
            yield
        except BaseException:
            if record is None:
                self.session.reset()
                self._start()
                self._edits = edits
            else:
                try:
                    self._restore(record)
                except Exception:  # memory is still short, say
                    self.session.reset()
                    self._start()
                    self._edits = [*edits, ((), lambda: self._bring_back(record))]
            raise

    def _finished_object(self, index: int) -> ObjectRecord:
        records = self.finished[self.name]
        if not 0 <= index < len(records):
            raise DataError(f"{self.name!r} has no finished object number {index + 1}; there are {len(records)}")
        return records[index]

    def _forget(self, index: int) -> None:
        record = self.finished[self.name].pop(index)
        self._objects = None
        self.order = [(name, other) for name, other in self.order if other is not record]

    def flush(self) -> None:
        """Save what could not be saved before; if it still cannot, it is told again."""
        if self.project is not None:
            self.project.flush()

    def _save(self, learned: Any = None) -> None:
        """To the project, if there is one, and what a session has learned; before an image is opened, none of it is ours."""
        if self.project is None or not self.opened:
            return
        left = self.record() if self.busy_with_object else None
        self.project.save(self.name, self.photo.pixels.shape[:2], self.finished[self.name], left, learned)


def class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes without blanks around them, each once.

    Raises
    ------
    DataError
        If one is no text, or has nothing in it.
    """
    if wrong := [name for name in names if not isinstance(name, str) or not name.strip()]:
        raise DataError(f"{wrong[0]!r} is no name of a class; give text that can be read")
    return tuple(dict.fromkeys(name.strip() for name in names))


def clicks_needed(record: ObjectRecord, target: float | None) -> int:
    """Clicks a person made for an object: all, or those until it reached the IoU."""
    ious: Mapping[int, float] = dict(enumerate(record.ious, 1))
    reached = [count for count, value in ious.items() if target is not None and value >= target]
    return (reached[0] if reached else len(record.clicks)) - record.seeds
