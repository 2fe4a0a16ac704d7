"""Segment by clicking, in a notebook: a photo with masks over it, and a model that learns in the background.

Three rules keep it simple. All state is kept here, and the page only shows it, so a reloaded page loses nothing. Whatever
comes from the page is only noted, in a queue; one worker thread takes it from there, and is the only one to touch the
session. Nothing that goes wrong there is lost: it is shown in the line below the photo.

`ilsegkit.annotator` knows what a click does, `ilsegkit.live` brings that onto a page; here is what code can do with it.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image

from .album import Album
from .annotator import Annotator, class_names
from .clicks import Click
from .contest import Contest, hold_contest, person_results
from .data.sample import Sample
from .data.store import home_expanded
from .drawing import save_story
from .errors import DataError, ImageError
from .evaluation import Results
from .hosts import bundle_with_picture, enable_colab, shows_outputs_apart
from .live import STILL_SIDE, LiveAnnotator, skipped
from .lock import locked
from .model import InteractiveSegmenter
from .project import Project
from .records import ObjectRecord
from .session import Session

__all__ = ["ClickSegmenter"]

log = logging.getLogger(__name__)

# Running a cell twice makes two widgets for one session or one folder: the later one is its only user.
_IN_USE: weakref.WeakSet[ClickSegmenter] = weakref.WeakSet()


class ClickSegmenter(LiveAnnotator):
    """Segment objects in photos with the mouse, a pen, a finger, the keyboard or by code; shown as a cell's last expression.

    Parameters
    ----------
    session : Session
        It belongs to the widget from now on; another widget for the same session, or the same folder, takes it over.
    images : image, folder, sequence of images or samples, or mapping of str to image
        See `ilsegkit.album.Album`. Read when they are chosen.
    folder : path, optional
        Everything is saved there at once, see `ilsegkit.project`; what it holds from earlier is taken up again.
    truth : mapping of str to mask, optional
        True masks of images by name, arrays or paths: then the IoU is shown after every click.
    classes : sequence of str, optional
        What an object can be, in addition to those of the folder; if there are none, ``"object"``.
    target_iou : float, optional
        At which an object with a known true mask is good enough.
    start : mapping of str to mask, optional
        Existing masks of images by name, arrays or paths, to be corrected: an image without objects begins with its mask.

    Raises
    ------
    ImageError
        If there is no image, or the first cannot be read.
    DataError
        If the folder cannot be used.

    Examples
    --------
    >>> from ilsegkit import Session
    >>> segmenter = ClickSegmenter(Session(adapt="none"), np.full((60, 80, 3), 200, np.uint8))
    >>> segmenter.click(40, 30)
    >>> segmenter.wait()
    >>> segmenter.mask.shape, segmenter.clicks
    ((60, 80), (Click(x=40.0, y=30.0, positive=True),))
    """

    def __init__(
        self,
        session: Any,
        images: Any,
        folder: str | PathLike[str] | None = None,
        truth: Mapping[str, Any] | None = None,
        classes: Sequence[str] | None = None,
        target_iou: float | None = None,
        start: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(session, InteractiveSegmenter):
            raise DataError("the widget takes a session, not a model; write ClickSegmenter(Session(model), ...)")
        enable_colab()
        self.album = Album(images, truth, start)
        folder = None if folder is None else home_expanded(folder)
        self._folder = None if folder is None else folder.resolve()
        if isinstance(classes, str):
            classes = [classes]
        classes = class_names(classes or ())
        project = Project(folder, self.album, classes) if folder is not None else None
        first, damaged = self._first(None if project is None else project.current)
        others, lost = self._take_over(session)
        self._lock = None if folder is None else self._locked(folder)
        with ExitStack() as if_it_fails:
            if self._lock is not None:
                if_it_fails.callback(self._lock.release)
            if others and folder is not None:
                project = Project(folder, self.album, classes)  # the other may have saved in the meantime
            if lost:
                damaged += (
                    f" Finished objects of the widget before that are not in this one: {lost}; folder=... would keep them."
                )
            names = project.classes if project is not None else classes or ("object",)
            annotator = Annotator(session, self.album, project, names)
            annotator.begin_with(first, damaged.strip())
            super().__init__(annotator, target_iou)
            if_it_fails.pop_all()
        _IN_USE.add(self)
        self._ask("open", annotator.name)

    def _first(self, current: str | None) -> tuple[str, str]:
        """The image to begin with, and what is wrong with those before it; if none can be read, the error of the first."""
        problems = []
        for name in dict.fromkeys([*([current] if current in self.album else []), *self.album]):
            try:
                _ = self.album[name]  # better now than in the background
            except ImageError as error:
                problems.append(error)
            else:
                return str(name), " ".join(skipped(error) for error in problems)
        raise problems[0]

    def _take_over(self, session: Any) -> tuple[list[ClickSegmenter], int]:
        """Become the only user of session and folder; give those there were, and how many of their objects no folder has."""
        others = [
            other
            for other in _IN_USE
            if other.session is session or (self._folder is not None and other._folder == self._folder)
        ]
        lost = 0
        for other in others:
            if other._folder is None:
                lost += sum(len(records) for records in other.records.values())
                lost += sum(request.action == "finish" for request in other._worker.waiting())
            what = "session" if other.session is session else "folder"
            other.retire(f"Another ClickSegmenter uses this {what} now. Run the cell again to get it back.")
            other._worker.wait()  # it stops at its next step, and saves no more after that
            other._annotator.flush()  # or it would be lost with it; if it cannot be saved, the cell can be run again
            other.let_go()
        return others, lost

    def _locked(self, folder: Path) -> FileLock:
        """Two programs in one folder would remove each other's objects."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"the folder {str(folder)!r} cannot be made ({error}); name another") from error
        busy = f"a widget of another notebook or program works in {str(folder)!r}; end its kernel, or name another folder"
        return locked(folder / ".widget.lock", busy)

    def let_go(self) -> None:
        """Keep what was made, and nothing that takes much memory or that another widget may want."""
        super().let_go()
        if self._lock is not None:
            self._lock.release()
        _IN_USE.discard(self)

    def __repr__(self) -> str:
        with self._guard:
            finished = sum(len(records) for records in self._annotator.finished.values())
            return f"<ClickSegmenter: {self._annotator.name!r}, {len(self._clicks)} clicks, {finished} finished objects>"

    # --- what code can do -------------------------------------------------------------------------------------------

    @property
    def mask(self) -> np.ndarray:
        """The object at hand, bool, (height, width) of the image."""
        with self._guard:
            return self._mask.copy()

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks of the object at hand that the model has answered."""
        with self._guard:
            return self._clicks

    @property
    def masks(self) -> dict[str, list[np.ndarray]]:
        """The finished objects of each image, each bool, (height, width)."""
        return {name: self._annotator.masks(name) for name in self.album}

    @property
    def records(self) -> dict[str, list[ObjectRecord]]:
        """The same with their clicks and what came of each."""
        return {name: list(records) for name, records in self._annotator.finished.items()}

    def click(self, x: float, y: float, positive: bool = True) -> None:
        """Do what a click of the mouse does, at a pixel of the image; return at once, see `wait`."""
        self._ask("click", Click(float(x), float(y), bool(positive)))

    def undo(self) -> None:
        """Take back the last click, deletion or reset, or the removal or opening of a finished object."""
        self._ask("undo")

    def redo(self) -> None:
        """Bring back the click that was undone last."""
        self._ask("redo")

    def delete(self, index: int) -> None:
        """Take out a single click of the object at hand, by its number from 0."""
        self._ask("delete", index)

    def reset(self) -> None:
        """Drop all clicks of the object."""
        self._ask("reset")

    def finish(self) -> None:
        """Keep the mask in `masks`, let the model learn from the object, and be ready for the next."""
        self._ask("finish")

    def choose(self, name: str) -> None:
        """Go to another image, by its name; an object at hand is finished first."""
        self.album.source(name)
        self._ask("choose", name)

    def next(self, steps: int = 1) -> None:
        """Go to the next image, or with -1 to the one before."""
        self._ask("next", steps)

    def adapt(self, mode: str) -> None:
        """Choose how the model learns: none, IA, SA or IA+SA."""
        self._ask("adapt", mode)

    def set_class(self, name: str) -> None:
        """Say what the object at hand is, and those after it; any name will do."""
        self._ask("class", name)

    def threshold(self, value: float) -> None:
        """Choose the probability from which a pixel belongs to the object; 0.5 at first."""
        self._ask("threshold", value)

    def start_from(self, mask: np.ndarray | str | PathLike[str]) -> None:
        """Take an existing mask of this image, an array or a file, as the object at hand, to be corrected by clicks."""
        self._ask("start_from", mask)

    def reopen(self, index: int) -> None:
        """Make a finished object of this image, by its number from 0, the object at hand again."""
        self._ask("reopen", index)

    def remove(self, index: int) -> None:
        """Drop a finished object of this image, by its number from 0; `undo` brings it back."""
        self._ask("remove", index)

    def forget(self) -> None:
        """Drop what was learned from finished objects, also in the folder; the one at hand is finished first."""
        self._ask("forget")

    def stop(self) -> None:
        """Stop learning from the click at hand; what was learned so far is kept."""
        self._worker.stopping.set()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until everything asked for is done and shown.

        Raises
        ------
        TimeoutError
            If it is not done after `timeout` seconds.
        Exception
            The first one that something asked for by code ended in; those of the mouse are only shown below the photo.
        """
        if not self._worker.wait(timeout):
            raise TimeoutError(f"the model is still at work after {timeout:g} seconds")
        with self._guard:
            failures, self._failures = self._failures, []
        if failures:
            raise failures[0]

    def picture(self, side: int = STILL_SIDE) -> Image.Image:
        """The photo with masks and clicks as they are now; as a cell's last expression it is stored in the notebook."""
        return self._picture(side)

    def save_story(self, path: str | PathLike[str], index: int = -1, name: str | None = None) -> None:
        """Write a finished object click by click: a strip to a ``.png`` file, an animation to a ``.gif`` file.

        Parameters
        ----------
        path : path
        index : int, optional
            Which of the image's finished objects; the last if left out.
        name : str, optional
            The image; the one at hand if left out.
        """
        name = self._annotator.name if name is None else name
        photo, records = self.album[name].pixels, self._annotator.finished[name]
        if not -len(records) <= index < len(records):
            raise DataError(f"{name!r} has no finished object number {index}; there are {len(records)}")
        save_story(path, photo, records[index])

    def results(self, target_iou: float | None = None, max_clicks: int = 20) -> Results:
        """Clicks and IoU of the finished objects whose true mask is known, as `ilsegkit.evaluate` gives them for the robot."""
        return person_results(self._annotator.order, target_iou or self.target_iou or 0.85, max_clicks)

    def against_robot(self, adapt: str | None = None, rule: str = "paper", max_clicks: int = 20) -> Contest:
        """Let the robot user segment the same objects, with the initial model and the same adaptation.

        Parameters
        ----------
        adapt : str, optional
            Another adaptation: none, IA, SA or IA+SA.
        rule : str, optional
            See `ilsegkit.clicks.RULES`.
        max_clicks : int, optional
            A miss counts as this many.
        """
        if self.session is None:
            raise DataError("this widget has let go of its session, which the robot needs; ask the one that has it now")
        person = self.results(max_clicks=max_clicks)
        samples, done = [], []
        for record in person.records:
            photo = self.album[record["object_id"]]
            if record["began_from_mask"]:
                log.warning("%r began from a mask, which the robot does not: it is left out", record["object_id"])
            elif photo.truth is not None:
                samples.append(Sample(photo.pixels, photo.truth, record["object_id"], photo.ignore, photo.class_name))
                done.append(record)
        if not samples:
            raise DataError(
                "the robot needs finished objects that did not begin from a mask, and their true masks; give truth=... again"
            )
        person = Results(done, person.target_iou, person.max_clicks)
        robot = Session(self.session.initial_model(), adapt or self.session.adaptation)
        return hold_contest(person, samples, robot, rule)

    def close(self) -> None:
        """Do what was asked for, take the widget from the page, and let go of the session; the finished objects stay.

        Raises
        ------
        DataError
            If something cannot be saved; the widget stays, and it can be tried again.
        """
        if self._built and not self._retired:
            if not self._worker.is_this_thread():
                self._worker.wait()
            self._annotator.flush()
            self.retire("This widget is closed; run the cell again for a new one.")
            self.let_go()
            self.stage.close()
        super().close()

    # --- in a notebook ----------------------------------------------------------------------------------------------

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**options)
        if not self.photo_info:
            self._worker.wait(20)  # for the first photo, so that there is something to see
        return bundle if bundle is None else bundle_with_picture(bundle, self._still_bytes())

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_() or ({}, {})
        picture = None if shows_outputs_apart() else data.pop("image/jpeg", None)
        display(data, metadata=metadata, raw=True)
        if picture is not None:
            self._still.show(self._still_bytes())
