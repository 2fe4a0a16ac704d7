"""An annotator on a page: what comes from the page is put into a queue, one worker does it, and the page shows the outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from .annotator import Annotator, clicks_needed
from .clicks import Click
from .drawing import draw, jpeg
from .errors import DataError, IlsegkitError
from .hosts import StillPicture
from .insights import FixedModel, layer_movement
from .page import Page
from .records import numbered
from .stage import Answer
from .worker import Request, Worker

__all__ = ["LiveAnnotator", "skipped"]

log = logging.getLogger(__name__)

MODES = [
    ["fixed", "none", "The model stays as it is"],
    ["IA", "IA", "Image adaptation: learn from every click, forget it when the object is finished"],
    ["SA", "SA", "Sequence adaptation: learn from every finished object for those to come"],
    ["IA+SA", "IA+SA", "Both: learn from every click, and from every finished object"],
]
HINT = "Click on the object; right click or Shift+click on what is not part of it. Press h for all keys."
STILL_SIDE = 640
#: What changes the object at hand, and so is not done to a photo that the user did not see when asking for it.
ON_PHOTO = {"click", "delete", "reopen", "remove", "undo", "redo", "reset", "finish", "class", "threshold"}
#: What can be done while no photo is open.
WITHOUT_PHOTO = {"open", "choose", "next", "adapt", "look"}


def skipped(problem: IlsegkitError) -> str:
    """What is said of a photo that was passed over."""
    told = str(problem)
    return f"Skipped: {told}" + "." * (told[-1:] not in ".?!")


class LiveAnnotator(Page):
    """Shows an annotator and does what the page asks for.

    Parameters
    ----------
    annotator : Annotator
    target_iou : float, optional
        Shown as a line where true masks are known.
    """

    _built = False  # ipywidgets closes what there is of a widget, too, if __init__ fails

    def __init__(self, annotator: Annotator, target_iou: float | None = None) -> None:
        self.session, self.target_iou = annotator.session, target_iou
        self._annotator = annotator
        self._worker = Worker(self._serve, self._give_up)
        self._errands = Worker(self._run_errand, self._report, "ilsegkit-errands")  # thumbnails and the like
        self._guard = self._worker.guard  # for what is shown, which belongs together with the queue
        self._name, self._clicks, self._seeds = annotator.name, annotator.clicks, 0
        self._photo = np.zeros((1, 1, 3), np.uint8)
        self._mask = np.zeros((1, 1), bool)
        self._finished = np.zeros((1, 1), np.uint16)
        self._finished_records: list[Any] | None = None
        self._fixed: FixedModel | None = None
        self._fixed_answer: Answer | None = None
        self._still = StillPicture()
        self._last_step = 0.0
        self._failures: list[Exception] = []
        self._retired = ""
        super().__init__(modes=MODES, classes=list(annotator.classes), names=list(annotator.album), target_iou=target_iou)
        self.on_msg(self._on_message)
        self.observe(self._on_wish, ["compare", "panel"])
        self._built = True
        self._say(HINT)

    def retire(self, why: str) -> None:
        """Do nothing any more, and say why."""
        self._worker.retire()
        self._errands.retire()
        self._retired = why
        self._say(why, "error")

    def let_go(self) -> None:
        """Keep what was made, and nothing that takes much memory: Jupyter never forgets a widget."""
        with self._guard:
            self._annotator.let_go()
            self.session = self._fixed = self._fixed_answer = None
            self._photo, self._finished = self._annotator.photo.pixels, np.zeros((1, 1), np.uint16)
            self.stage.let_go()

    # --- what comes from the page, on whichever thread: noted, and answered with no more than a dot ---------------------

    def _on_message(self, _: Any, content: Mapping[str, Any], buffers: Any) -> None:
        try:
            match content.get("event"):
                case "click":
                    click = Click(float(content["x"]), float(content["y"]), bool(content["positive"]))
                    self._ask("click", click, content["photo"])
                case "do" if content["action"] == "stop":
                    self._worker.stopping.set()
                case "do":
                    self._ask(content["action"], content.get("value"), content["photo"])
                case "set" if content["name"] in self.SETTINGS:
                    self.show(**{content["name"]: content["value"]})
                case "thumbnails":
                    for name in content["names"]:
                        self._errands.ask(Request("thumbnail", name))
                case "detail":
                    self._errands.ask(Request("detail", dict(content), content["photo"]))
        except Exception as error:
            self._report(error)
        finally:
            if "id" in content:  # the page waits for it
                self.send({"received": content["id"]})

    def _on_wish(self, change: Any) -> None:
        """The user wants to see more: find it out."""
        if change.new:
            self._ask("look", seen=self._name)

    def _ask(self, action: str, value: Any = None, seen: str | None = None) -> None:
        if self._retired and seen is None:
            raise DataError(self._retired)
        self._worker.ask(Request(action, value, seen))
        if action == "click":
            self._show_points()  # the dot does not wait for the model

    # --- the worker: the only one to touch the session ------------------------------------------------------------------

    def _serve(self, requests: list[Request]) -> None:
        """Do what is asked and show how things are then; if it fails, the object is what it was."""
        self._show_state()
        failure: Exception | None = None
        said: str | None = ""
        if self._worker.retired:
            return
        annotator, opened = self._annotator, False
        try:
            said = self._perform(requests)
            annotator.flush()  # what could not be saved is told until it is
        except Exception as error:
            failure = error
        with self._guard:
            opened = annotator.photo.pixels is not self._photo
            self._name, self._photo = annotator.name, annotator.photo.pixels
            self._clicks, self._mask, self._seeds = annotator.clicks, annotator.mask, annotator.seeds
            self._worker.answered()
        values: dict[str, Any] = {}
        objects_before = self._finished
        try:
            values = self._page_values(opened)
        except Exception as error:
            failure = failure or error
        if self._worker.retired:
            return
        if failure is not None and requests[0].seen is None:
            self._failures.append(failure)
        with self._showing:
            self.show(**values, points=self._point_list(), state=self._state(), progress=[])
            if opened:
                self.stage.open(self._photo)
            if opened or self._finished is not objects_before:
                self.stage.show_objects(self._finished)
            self.stage.show_answers(Answer(self._mask, annotator.before), self._fixed_answer)
        if failure is not None:
            self._report(failure)
        elif said is not None:
            self._say(said or HINT)
        if self._still.shown:
            self._errands.ask(Request("still"))
        self._prepare()

    def _prepare(self) -> None:
        """Use the time in which the user looks."""
        if self._worker.waiting() or self._worker.retired or not self._annotator.opened:
            return
        try:
            self.session.prepare()
        except Exception as error:  # nobody has asked for it; if the next click fails, it will tell
            log.warning("the session could not prepare for a click", exc_info=error)

    def _give_up(self, error: Exception) -> None:
        """The worker could not even say how things are: show what there was, and say why."""
        if self._worker.retired:
            return
        with self._showing:
            self.show(points=self._point_list(), state=self._state(), progress=[])
            self.stage.drop_early()
        self._report(error)

    def _perform(self, requests: list[Request]) -> str | None:
        """Do what is asked, and say what was done; None leaves standing what was said before."""
        do, request = self._annotator, requests[0]
        value = request.value
        if request.seen not in (None, do.name) and request.action in ON_PHOTO:
            return "That was meant for the photo before this one."
        if not do.opened and request.action not in WITHOUT_PHOTO:
            raise DataError(f"{do.name!r} could not be opened; choose another photo, or mend it and choose it again")
        if request.action in ("delete", "reopen", "remove") and (value := self._which(request)) is None:
            return f"That {'point' if request.action == 'delete' else 'object'} is not there any more."
        match request.action:
            case "click":
                by_hand = request.seen is not None
                said = do.click([r.value for r in requests], self._on_step, self._on_prediction if by_hand else None)
                ious = do.record(with_mask=False).ious
                reached = self.target_iou is not None and bool(ious) and ious[-1] >= self.target_iou
                return f"{said} · the target is reached, Enter finishes" if reached else said
            case "undo":
                return do.undo()
            case "redo":
                return do.redo()
            case "reset":
                return do.reset()
            case "delete":
                return do.delete(value, self._on_step)
            case "finish":
                return do.finish(self._on_step)
            case "adapt":
                return do.adapt(value)
            case "threshold":
                return do.set_threshold(float(value))
            case "class":
                return do.set_class(value)
            case "start_from":
                return do.start_from(value, self._on_step)
            case "reopen":
                return do.reopen(value, self._on_step)
            case "remove":
                return do.remove(value)
            case "open" | "choose":
                return self._go(value) if value != do.name or not do.opened or request.action == "open" else None
            case "next":
                return self._next(int(value)) if len(do.album) > 1 else "There is only this image."
            case "forget":
                return do.forget()
            case "look":
                return None
        raise ValueError(f"the page asked for {request.action!r}, which there is not")

    def _go(self, name: str) -> str:
        """Go to a photo; to finish an object and to read a large file takes a while."""
        self._say(f"Going to {name!r} …")
        return self._annotator.open(name)

    def _next(self, steps: int) -> str:
        """Go on, past photos that cannot be opened."""
        begin, busy, problems = self._annotator.name, self._annotator.busy_with_object, list[IlsegkitError]()
        name = self._annotator.album.after(begin, steps)
        while name != begin:
            try:
                return " ".join([*(skipped(problem) for problem in problems), self._go(name)])
            except IlsegkitError as problem:
                if self._annotator.name != begin or self._annotator.busy_with_object != busy:
                    raise  # it can be opened; something else went wrong
                problems.append(problem)
            name = self._annotator.album.after(name, 1 if steps > 0 else -1)
        if problems:
            raise problems[0]
        return self._annotator.summary()  # so many steps that it is the same photo

    def _which(self, request: Request) -> int | None:
        """Which point or object is meant. Code counts them; the page, which may lag behind, says what it saw."""
        if request.seen is None:
            return int(request.value)
        there: list[Any] = [record.number for record in self._annotator.finished[self._annotator.name]]
        meant: Any = request.value
        if request.action == "delete":
            x, y, positive = meant
            there, meant = list(self._annotator.clicks), Click(float(x), float(y), bool(positive))
        return there.index(meant) if meant in there else None

    def _on_step(self, step: int, steps: int) -> bool:
        """Show the progress; go on unless stopped, or overtaken: the next click learns from this one, too."""
        now = time.perf_counter()
        if step == 0 or now - self._last_step > 0.05:
            self._last_step = now
            self.show(progress=[step, steps])
        return not (self._worker.stopping.is_set() or self._worker.overtaken())

    def _on_prediction(self, mask: np.ndarray) -> None:
        """The first answer, before the model learns from the click."""
        if not self._worker.overtaken():
            self.stage.show_early(Answer(mask, self._mask))

    # --- showing: from what is kept here, never from the session, but for what the worker finds out while it has it ------

    def _page_values(self, opened: bool) -> dict[str, Any]:
        """What the page shall show of the annotator."""
        annotator, values = self._annotator, dict[str, Any]()
        height, width = self._photo.shape[:2]
        if opened:
            values["photo_info"] = {"name": self._name, "width": width, "height": height}
            truth = annotator.photo.truth
            values["target"] = b"" if truth is None else jpeg(draw(self._photo, truth, side=220))
        records = annotator.finished[self._name]
        if opened or self._finished_records != records:
            self._finished, self._finished_records = annotator.objects, list(records)
            values["objects"] = [
                {"number": r.number, "class_name": r.class_name, "clicks": len(r.clicks) - r.seeds} for r in records
            ]
        self._fixed_answer = None
        if self.compare:
            fixed = self._fixed_model()
            fixed.answer(self._photo, self._clicks, annotator.threshold)
            self._fixed_answer = Answer(fixed.mask, fixed.before)
        values["film"] = [{"name": name, "objects": len(annotator.finished[name])} for name in annotator.album]
        values["insights"] = self._insights() if self.panel else {}
        return values

    def _fixed_model(self) -> FixedModel:
        if self._fixed is None:
            self._fixed = FixedModel(self.session)
        return self._fixed

    def _insights(self) -> dict[str, Any]:
        annotator = self._annotator
        record = annotator.record(with_mask=False)
        clicks = []
        for click, stage in zip(record.clicks, record.stages, strict=True):
            known = {} if stage is None else {"changed": stage.changed, "seconds": stage.seconds, "iou": stage.iou}
            clicks.append({"positive": click.positive} | known)
        objects = [
            {"name": name, "clicks": clicks_needed(r, self.target_iou), "iou": r.ious[-1] if r.ious else None}
            for name, r in annotator.order
        ]
        before = self._fixed_model().parameters()
        layers = layer_movement(dict(self.session.model.named_parameters()), before)
        truth = annotator.photo.truth is not None
        return {"clicks": clicks, "objects": objects, "layers": list(layers.items()), "truth": truth}

    def _point_list(self) -> list[dict[str, Any]]:
        """The clicks that the model has answered, and those it will answer."""
        with self._guard:
            answered = [(c, True) for c in self._clicks]
            waiting = [r for r in self._worker.waiting() if r.action == "click" and r.seen in (None, self._name)]
            points = [*answered, *((r.value, False) for r in waiting)]
            height, width = self._photo.shape[:2]
            # One outside the photo is not drawn: the session will say what is wrong with it.
            return [
                {"x": c.x, "y": c.y, "positive": c.positive, "answered": known, "seed": number < self._seeds}
                for number, (c, known) in enumerate(points)
                if known or (-0.5 <= c.x <= width - 0.5 and -0.5 <= c.y <= height - 0.5)
            ]

    def _show_points(self) -> None:
        with self._showing:
            self.show(points=self._point_list())

    def _show_state(self) -> None:
        with self._showing:
            self.show(state=self._state())

    def _state(self) -> dict[str, Any]:
        """What can be done now."""
        annotator = self._annotator
        with self._guard:
            waiting = self._worker.waiting()
            coming = any(r.action == "click" for r in waiting)
        return {
            "undo": annotator.can_undo or coming,
            "redo": annotator.can_redo,
            "object": annotator.busy_with_object or coming,
            "busy": bool(waiting) and waiting[0].action in ("click", "finish", "delete", "start_from", "reopen"),
            "adapt": self.session.adapt,
            "threshold": annotator.threshold,
            "class_name": annotator.class_name,
        }

    def _say(self, text: str, kind: str = "") -> None:
        self.show(message={"text": text, "kind": kind})

    def _report(self, error: Exception) -> None:
        """Show an error below the photo. Ours say what to do; for others there is a trace in the log."""
        if isinstance(error, IlsegkitError):
            text = str(error)
        else:
            text = f"{type(error).__name__}: {error}"
            log.error("something went wrong in a ClickSegmenter", exc_info=error)
        self._say(text, "error")

    # --- errands: what the page wants beside the work, without the session ----------------------------------------------

    def _run_errand(self, requests: list[Request]) -> None:
        request = requests[0]
        if request.action == "thumbnail":
            try:
                picture = self._annotator.album.thumbnail(request.value)
            except IlsegkitError:
                picture = b""  # choosing the image will say what is wrong with it
            self.send({"thumbnail": request.value}, [picture])
        elif request.action == "detail" and request.seen == self._name:
            if not any(later.action == "detail" for later in self._errands.waiting()[1:]):
                self._show_detail(request.value)
        elif request.action == "still" and request not in self._errands.waiting()[1:]:
            self._still.update(self._still_bytes())

    def _show_detail(self, wanted: Mapping[str, Any]) -> None:
        """Show a part of the photo more sharply, in the view that asks for it; the others may look elsewhere."""
        if wanted["box"] is None:
            self.stage.leave_detail()
            return
        window = self.stage.part(wanted["box"], wanted["density"], wanted["ratio"])
        with self._showing:
            self.show(detail={**wanted, "box": list(window[:4])})
            data = self.stage.show_detail(window)
        self.send({"tile": wanted["view"]}, [data])

    def _picture(self, side: int = STILL_SIDE) -> Image.Image:
        with self._guard:
            photo, mask, clicks, finished = self._photo, self._mask, self._clicks, self._finished
        if self.session is None:
            photo = self._annotator.album[self._name].pixels
            finished = numbered(self._annotator.finished[self._name], photo.shape[:2])
        return draw(photo, mask, clicks, finished, side)

    def _still_bytes(self) -> bytes:
        return jpeg(self._picture())
