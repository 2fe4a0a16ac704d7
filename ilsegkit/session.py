"""One person, one model, a sequence of images: the whole user surface (Algorithm 1 and sections 3.2.1 to 3.2.3)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from os import PathLike, fspath
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .adaptation import Adaptation, OnStep, Settings, adapt, kept_clicks, named_adaptation
from .allocator import give_back_memory
from .appearance import Looks
from .clicks import Click
from .errors import ClickError, DataError, WeightsError
from .frame import Frame, Window, window_around
from .frozen import stamp
from .images import fitting_mask, read_image
from .model import InteractiveSegmenter, load_model

__all__ = ["Session"]

#: How many clicks back `Session.undo` reaches. Each keeps what it changed of the weights: 1.3 MB with the bundled model's IA.
UNDO_LIMIT = 50

Weights = dict[str, Tensor]
Known = dict[Frame, list[Tensor]]  # features


class _State(NamedTuple):
    """The object as it is after a click."""

    clicks: tuple[Click, ...]
    logits: Tensor | None  # at the frame's size; None before the first click, and after one answered together with the next
    weights: Weights | None  # what single-image adaptation made of them; None for those of the sequence
    frame: Frame | None = None  # what the network saw; None for the whole image


class _Seen(NamedTuple):
    """How a frame looks to the encoder as it was then."""

    frame: Frame
    version: list[tuple[int, int]]
    looks: Looks | None


class Session:
    """Segment objects by clicking; the model learns from every click.

    Parameters
    ----------
    model : InteractiveSegmenter, optional
        The initial model θ*. The session works on a copy, so models can be shared. The bundled one if left out.
    adapt : {"none", "IA", "SA", "IA+SA"} or Adaptation, optional
        ``"IA"`` adapts to each object and forgets it afterwards; ``"SA"`` learns from each finished object for the next;
        ``"none"`` is the model as it is. A name uses the settings stored with the weights.
    seed : int, optional
        For the random choices of SA.

    Raises
    ------
    WeightsError
        If the model is none, or does not compute with 32 bits.
    DataError
        If the seed is none, or there is no such adaptation.

    Attributes
    ----------
    image : ndarray of uint8, (height, width, 3), or None
    notice : str or None
        What the user should know of the last call.
    objects : int
        How many objects have been finished.

    Examples
    --------
    >>> session = Session(adapt="none")
    >>> session.set_image(np.full((60, 80, 3), 200, np.uint8))
    >>> mask = session.click(40, 30)
    >>> mask.shape, mask.dtype
    ((60, 80), dtype('bool'))
    >>> _ = session.undo()
    >>> session.clicks
    ()
    """

    _now: _State

    def __init__(self, model: InteractiveSegmenter | None = None, adapt: str | Adaptation = "IA+SA", seed: int = 0) -> None:
        if isinstance(model, str | PathLike):
            raise WeightsError(f"a session takes a model, not the file it is in; write Session(load_model({fspath(model)!r}))")
        model = load_model() if model is None else model
        if not isinstance(model, InteractiveSegmenter):
            raise WeightsError(f"a session takes an InteractiveSegmenter, not a {type(model).__name__}; make it a subclass")
        if (kind := next(model.parameters()).dtype) != torch.float32:
            raise WeightsError(f"a session computes with numbers of 32 bits, and this model is {kind}; give it model.float()")
        # A copy of all but the importance, which never changes.
        self.model: InteractiveSegmenter = copy.deepcopy(model, {id(model.importance): model.importance}).eval()
        self.adaptation = Adaptation()
        self.adapt = adapt
        self._held: dict[str, tuple[Tensor, tuple[int, int]]] = {}  # what each parameter was copied to, or from, and when
        self._anchor = self._weights()  # θ*
        self._sequence = self._anchor  # θ_t
        self._optimizer: torch.optim.Optimizer | None = None
        self._seed = seed
        self._rng = self._fresh_rng()
        self.objects = 0
        self.notice: str | None = None
        self.image: np.ndarray | None = None
        self._frame: Frame | None = None
        self._seen: _Seen | None = None
        self._mask: np.ndarray | None = None
        self._start()

    # --- what is there ----------------------------------------------------------------------------------------------

    @property
    def adapt(self) -> str:
        """The adaptation by name; it can be set at any time, by name or as an `Adaptation`."""
        return self.adaptation.name

    @adapt.setter
    def adapt(self, value: str | Adaptation) -> None:
        self.adaptation = value if isinstance(value, Adaptation) else named_adaptation(value, self.model.adaptation)

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks of the object so far."""
        return self._now.clicks

    @property
    def mask(self) -> np.ndarray:
        """The object so far, bool, (height, width); all False before the first click.

        Read-only: the next click looks where it says, and SA learns from it. Change a copy.
        """
        if self._mask is None:
            self._mask = self.probability > 0.5
            self._mask.flags.writeable = False
        return self._mask

    @property
    def probability(self) -> np.ndarray:
        """Probability of each pixel to belong to the object, float32, (height, width); all 0 before the first click."""
        frame = self._now.frame or self._require_frame()
        logits = self._now.logits
        if logits is None:
            if not self.clicks:
                return np.zeros(frame.image_size, np.float32)
            frame, known = self._look_twice(self.clicks)  # answered together with a later click, and never on its own
            logits = self._logits(frame, self.clicks, known)
            self._now = self._now._replace(logits=logits, frame=frame)
        return torch.sigmoid(frame.at_image_size(logits)).numpy()

    @property
    def can_undo(self) -> bool:
        """Whether there is a click to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone click to bring back."""
        return bool(self._future)

    # --- what the user does -----------------------------------------------------------------------------------------

    def set_image(self, image: str | PathLike[str] | np.ndarray | Any) -> None:
        """Go to an image; the object at hand is dropped, what was learned from finished ones is kept.

        Parameters
        ----------
        image : path, PIL.Image.Image or array_like
            See `ilsegkit.images.read_image`.

        Raises
        ------
        ImageError
            If it cannot be read; the session stays as it was.
        """
        image = read_image(image)
        self.image, self._frame, self._seen = image, Frame(image, self.model), None
        self.notice = None
        self._start()

    def click(
        self,
        x: float,
        y: float,
        positive: bool = True,
        on_step: OnStep | None = None,
        on_prediction: Callable[[np.ndarray], object] | None = None,
        earlier: Sequence[Click] = (),
    ) -> np.ndarray:
        """Correct the mask at a pixel; the model takes the click as input and, with IA, learns from it.

        Parameters
        ----------
        x, y : float
            Pixel of the image; the centre of the top left one is (0, 0).
        positive : bool, optional
            True if the pixel belongs to the object.
        on_step : callable, optional
            Called before every learning step with its number and their count; may return False to stop.
        on_prediction : callable, optional
            Called with the mask the model gives for the click before it learns from it.
        earlier : sequence of Click, optional
            Clicks made just before this one and not answered yet: one run of the model answers all, `undo` still takes
            them back one by one.

        Returns
        -------
        ndarray of bool, (height, width)
            The new `mask`.

        Raises
        ------
        ClickError
            If the click is outside the image or no number, or if there is no image; the session stays as it was.
        """
        new = [self._checked(*click) for click in (*earlier, (x, y, positive))]
        clicks = (*self.clicks, *new)
        settings = self.adaptation.image
        self.notice = None
        if settings is None:
            self._load(self._sequence)
        try:
            frame, known = (self._look(clicks, self.mask), {}) if self.mask.any() else self._look_twice(clicks)
            if settings is None:
                logits = self._logits(frame, clicks, known)
            else:
                show = None if on_prediction is None else lambda early: on_prediction((frame.at_image_size(early) > 0).numpy())
                outcome = adapt(
                    self.model,
                    frame,
                    clicks,
                    None,
                    settings,
                    self._anchor,
                    on_step=on_step,
                    on_prediction=show,
                    known=known,
                    looks=self._looks(frame),
                )
                # The encoder may have learned, and see other textures now.
                logits, self.notice = frame.answer(outcome.logits, clicks, self._looks(frame)), outcome.notice
        except BaseException:  # out of memory, or interrupted by the user: as if the click had not been made
            self._load(self._now.weights or self._sequence)
            raise
        self._past.append(self._now)
        self._past += [_State(clicks[:k], None, self._now.weights) for k in range(len(self.clicks) + 1, len(clicks))]
        del self._past[:-UNDO_LIMIT]
        self._future.clear()
        weights = None if settings is None else self._weights()
        self._go_to(_State(clicks, logits, weights, frame), load=False)
        return self.mask

    @torch.no_grad()
    def prepare(self) -> None:
        """Do what the next click would have to wait for, as far as it can be done before it is known where that is.

        It changes no answer. The widget uses the time for it in which a person looks at the last one.

        Raises
        ------
        ClickError
            If there is no image.
        """
        frame = self._look(self.clicks, self.mask)
        if self.clicks:
            self._looks(frame)
        else:  # at a size of its own, a first pass through the network takes longer
            frame.decode(self.model, frame.encode(self.model, (), frozen=True))

    def undo(self) -> np.ndarray:
        """Take the last click back, and what the model learned from it, bit for bit; give the mask.

        Up to fifty clicks are kept. Without one to take back, nothing happens.
        """
        if self._past:
            self._future.append(self._now)
            self._go_to(self._past.pop())
        return self.mask

    def redo(self) -> np.ndarray:
        """Bring back the click that was undone last, and what was learned from it; give the mask."""
        if self._future:
            self._past.append(self._now)
            self._go_to(self._future.pop())
        return self.mask

    def reset(self) -> np.ndarray:
        """Drop all clicks of the object and what was learned from them; give the empty mask."""
        self._start()
        return self.mask

    def finish(self, on_step: OnStep | None = None, mask: np.ndarray | None = None) -> np.ndarray:
        """Keep the mask; with SA, learn from the object for those to come; then be ready for another object or image.

        What single-image adaptation learned is dropped (section 3.2.3): the step starts from θ_t.

        Parameters
        ----------
        on_step : callable, optional
            As in `click`.
        mask : array_like of bool, (height, width), optional
            What has been accepted and is to be learned from, if that is not `mask`: another threshold, or changed by hand.

        Returns
        -------
        ndarray of bool, (height, width)
            The finished mask.

        Raises
        ------
        ImageError
            If the mask has another size than the image; the session stays as it was.
        """
        accepted = None if mask is None else fitting_mask(mask, self._require_frame().image_size, "the image", "finished mask")
        if accepted is not None and np.array_equal(accepted, self.mask):
            accepted = None
        mask, state = self.mask if accepted is None else accepted, self._now
        self.notice = None
        settings = self.adaptation.sequence
        if settings is not None and state.logits is not None:
            random = self._rng.bit_generator.state
            try:
                self._learn_from(accepted, state, settings, on_step)
            except BaseException:  # as if it had not been finished; Adam begins anew with the next object
                self._load(state.weights or self._sequence)
                self._optimizer, self._rng.bit_generator.state = None, random
                raise
            give_back_memory()  # a step of all parameters takes more than clicks do
        if state.clicks:
            self.objects += 1
        self._start()
        return mask

    def predict(self, clicks: tuple[Click, ...] | None = None) -> np.ndarray:
        """Probability of each pixel to belong to the object, without learning anything.

        Parameters
        ----------
        clicks : sequence of Click, optional
            In image pixels, of any object: the network looks at the whole image. If left out, the object's own, with the window
            that it looks at for them.

        Returns
        -------
        ndarray of float32, (height, width)
            In 0-1.
        """
        frame = self._require_frame()
        if clicks is None:
            frame, clicks = self._now.frame or frame, self.clicks
        else:
            clicks = tuple(self._checked(*click) for click in clicks)
        return torch.sigmoid(frame.at_image_size(self._logits(frame, clicks))).numpy()

    def forget(self) -> None:
        """Begin anew with the initial model θ* and the seed; the object at hand loses its clicks."""
        self._sequence, self._optimizer, self.objects = self._anchor, None, 0
        self._rng = self._fresh_rng()
        self._start()

    def initial_model(self) -> InteractiveSegmenter:
        """A copy of the model as it was before it learned anything: θ*."""
        model = copy.deepcopy(self.model, {id(self.model.importance): self.model.importance})
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(self._anchor[name])
        return model

    # --- stopping and going on --------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What has been learned from finished objects, for `load_state_dict`: nested dicts of tensors and numbers."""
        return {
            "objects": self.objects,
            "weights": {name: value.clone() for name, value in self._sequence.items()},
            "optimizer": None if self._optimizer is None else copy.deepcopy(self._optimizer.state_dict()),
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`; the object at hand loses its clicks.

        Raises
        ------
        WeightsError
            If it is none, or of another model; the session stays as it was.
        """
        try:
            objects, given, rng = state["objects"], state["weights"], np.random.default_rng(0)
            weights = {name: value.to(self.model.device, copy=True) for name, value in given.items()}
            rng.bit_generator.state = state["rng"]
            fits = {name: value.shape for name, value in weights.items()} == {n: v.shape for n, v in self._anchor.items()}
            optimizer = None
            if fits and state["optimizer"] is not None:
                optimizer = torch.optim.Adam(self.model.parameters())
                optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))  # Adam would go on in the caller's tensors
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WeightsError(f"this is no state of a session ({error!r:.100}); give what state_dict gave") from error
        if not fits:
            raise WeightsError("this state is of a session with another model; give it to one with the same model")
        self.objects, self._sequence, self._optimizer, self._rng = objects, weights, optimizer, rng
        self._start()

    # --- how it works -----------------------------------------------------------------------------------------------

    def _weights(self) -> Weights:
        """A copy of the weights; those not written to since the last one are shared, so that undo costs little memory."""
        for name, value in self.model.named_parameters():
            if name not in self._held or self._held[name][1] != stamp(value):
                self._held[name] = value.detach().clone(), stamp(value)
        return {name: held for name, (held, _) in self._held.items()}

    @torch.no_grad()
    def _load(self, weights: Weights) -> None:
        for name, value in self.model.named_parameters():
            held, then = self._held[name]
            if held is not weights[name] or then != stamp(value):  # else it need not be made ready to run again
                value.copy_(weights[name])
                self._held[name] = weights[name], stamp(value)

    def _start(self) -> None:
        self._past: list[_State] = []
        self._future: list[_State] = []
        self._go_to(_State((), None, None))

    def _go_to(self, state: _State, load: bool = True) -> None:
        self._now = state
        self._mask = None
        if load:
            self._load(state.weights or self._sequence)

    def _window(self, clicks: tuple[Click, ...], mask: np.ndarray) -> Window | None:
        """The part of the image to look at, around a mask; None for all of it."""
        config = self.model.config
        # Enlarged no more than twice, but at the image's border.
        return None if config.zoom is None else window_around(mask, clicks, config.zoom, config.input_size // 2)

    def _look(self, clicks: tuple[Click, ...], mask: np.ndarray) -> Frame:
        """What the network is shown for the next click: the whole image, or also a window around what has been found."""
        whole, window = self._require_frame(), self._window(clicks, mask)
        if window is None:
            return whole
        if self._seen is not None and self._seen.frame.window == window:
            return self._seen.frame
        return Frame(whole.image, self.model, window, whole if self.model.config.context else None)

    def _looks(self, frame: Frame) -> Looks | None:
        """How a frame looks; found out once while neither it nor the encoder changes."""
        version = self.model.frozen.version()
        if self._seen is None or self._seen.frame is not frame or self._seen.version != version:
            self._seen = _Seen(frame, version, frame.looks(self.model))
        return self._seen.looks

    @torch.no_grad()
    def _look_twice(self, clicks: tuple[Click, ...]) -> tuple[Frame, Known]:
        """`_look` before anything has been found: around what the whole image shows; and the features of that first look."""
        whole = self._require_frame()
        if self.model.config.zoom is None:
            return whole, {}
        features = whole.encode(self.model, clicks, frozen=True)
        return self._look(clicks, (whole.at_image_size(whole.decode(self.model, features)) > 0).numpy()), {whole: features[0]}

    def _learn_from(self, accepted: np.ndarray | None, state: _State, settings: Settings, on_step: OnStep | None) -> None:
        """SA's step from θ_t to θ_t+1 on a finished object: on the mask that was accepted, None for the model's own."""
        mask = self.mask if accepted is None else accepted
        self._load(self._sequence)
        if self._optimizer is None:
            self._optimizer = torch.optim.Adam(self.model.parameters())
        for group in self._optimizer.param_groups:
            group["lr"] = settings.rate
        # With a zoom, the whole image is seen with the first click alone, and later ones with a window around the mask.
        whole, window = self._require_frame(), self._window(state.clicks, mask)
        views = [whole] if window is None else [whole, Frame(whole.image, self.model, window)]
        for view in views:
            kept = kept_clicks(state.clicks, settings.keep, self._rng) if view is views[-1] else list(state.clicks[:1])
            prediction = view.at_frame_size(mask)
            if accepted is None and view is state.frame and state.logits is not None:
                prediction = (state.logits > 0).float()
            with self.model.sparing_memory():  # Binder has little of it, and the user is looking at the next image
                outcome = adapt(
                    self.model, view, state.clicks, prediction, settings, self._anchor, self._optimizer, kept, on_step
                )
            self.notice = self.notice or outcome.notice
        self._sequence = self._weights()

    @torch.no_grad()
    def _logits(self, frame: Frame, clicks: tuple[Click, ...], known: Known | None = None) -> Tensor:
        logits = frame.decode(self.model, frame.encode(self.model, clicks, known, frozen=True))
        return frame.answer(logits, clicks, self._looks(frame))

    def _fresh_rng(self) -> np.random.Generator:
        try:
            return np.random.default_rng(self._seed)
        except (TypeError, ValueError) as error:
            raise DataError(f"the seed {self._seed!r} is no whole number from 0 on; choose one") from error

    def _require_frame(self) -> Frame:
        if self._frame is None:
            raise ClickError("there is no image yet; call set_image first")
        return self._frame

    def _checked(self, x: float, y: float, positive: bool = True) -> Click:
        height, width = self._require_frame().image_size
        try:
            x, y = float(x), float(y)
        except (TypeError, ValueError, OverflowError):
            raise ClickError(f"the click ({x!r}, {y!r}) is not two numbers") from None
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ClickError(f"the click ({x}, {y}) has a coordinate that is not a finite number")
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise ClickError(
                f"the click ({x:g}, {y:g}) is outside the image of {width} x {height} pixels; x goes to the right, y down"
            )
        return Click(x, y, bool(positive))
