"""A session whose masks are known: a square around each click. Quick, and can be held, made slow, or made to fail."""

import copy
import threading
import time
from functools import cached_property

import numpy as np
import torch

from ilsegkit.clicks import Click
from ilsegkit.errors import ClickError
from ilsegkit.images import read_image
from ilsegkit.model import InteractiveSegmenter, ModelConfig

#: 80 thousand parameters, stride 8, nothing to download.
TINY = ModelConfig("Unet", "tu-test_resnet", {"encoder_depth": 3, "decoder_channels": (16, 8, 8)}, multiple=8, input_size=64)


class FakeSession:
    """Has the interface of `Session`.

    `reach` is how far a square reaches; `gate` lets a test hold the steps of learning, of which each takes `pause` seconds;
    `fail_with` is raised by the next clicks, and so is a `RuntimeError` by a click beyond `fails_beyond`.
    """

    def __init__(self, reach=10, steps=10, pause=0.0, fails_beyond=None):
        self.adapt, self.notice, self.image = "IA+SA", None, None
        self._past, self._future, self.clicks = [], [], ()
        self.reach, self.steps, self.pause, self.fails_beyond = reach, steps, pause, fails_beyond
        self.steps_done, self.threads, self.fail_with, self.finished = [], set(), None, []
        self.gate = threading.Event()
        self.gate.set()
        self.at_work, self.prepared_for = threading.Event(), []
        self.objects = 0

    @cached_property
    def model(self):
        """Not asked for masks; but it can be saved, and compared."""
        with torch.random.fork_rng():
            torch.manual_seed(0)  # another session begins with the same
            return InteractiveSegmenter(TINY).eval()

    def initial_model(self):
        return copy.deepcopy(self.model)

    def set_image(self, image):
        self._note()
        self.image = read_image(image)
        self.reset()

    @property
    def probability(self):
        return self._answer(self.clicks)

    @property
    def mask(self):
        return self.probability > 0.5

    def _answer(self, clicks):
        """0.9 near a click on the object, 0.6 around that, 0.1 elsewhere."""
        probability = np.full(self.image.shape[:2], 0.1, np.float32)
        for x, y, positive in clicks:
            x, y = int(x), int(y)
            for reach, value in ((self.reach, 0.6), (self.reach // 2, 0.9)):
                probability[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = value if positive else 0.1
        return probability

    @property
    def can_undo(self):
        return bool(self._past)

    @property
    def can_redo(self):
        return bool(self._future)

    def _note(self):
        self.threads.add(threading.current_thread().name)

    def _learn(self, on_step):
        done = 0
        for step in range(self.steps):
            self.at_work.set()
            self.gate.wait(5)  # as a step that takes long
            if on_step is not None and on_step(step, self.steps) is False:
                break
            time.sleep(self.pause)
            done += 1
        self.steps_done.append(done)

    def click(self, x, y, positive=True, on_step=None, on_prediction=None, earlier=()):
        self._note()
        if self.fail_with is not None:
            raise self.fail_with
        new = [*earlier, Click(x, y, positive)]
        for click in new:
            if not (0 <= click.x < self.image.shape[1] and 0 <= click.y < self.image.shape[0]):
                raise ClickError(f"the click ({click.x}, {click.y}) is outside")
            if self.fails_beyond is not None and click.x > self.fails_beyond:
                raise RuntimeError("too far to the right")
        if on_prediction is not None:
            on_prediction(self._answer((*self.clicks, *new)) > 0.5)
        if "IA" in self.adapt:
            self._learn(on_step)
        for click in new:
            self._past.append(self.clicks)
            self.clicks = (*self.clicks, click)
        self._future = []
        return self.mask

    def prepare(self):
        self._note()
        self.prepared_for.append(self.clicks)

    def undo(self):
        self._note()
        self._future.append(self.clicks)
        self.clicks = self._past.pop()
        return self.mask

    def redo(self):
        self._note()
        self._past.append(self.clicks)
        self.clicks = self._future.pop()
        return self.mask

    def reset(self):
        self._note()
        self._past, self._future, self.clicks = [], [], ()
        return self.mask

    def finish(self, on_step=None, mask=None):
        self._note()
        mask = self.mask if mask is None else mask
        self.learned_from = mask
        self.finished.append(self.clicks)
        self.objects += 1
        self.reset()
        return mask

    def forget(self):
        self.objects = 0
        self.reset()

    def state_dict(self):
        return {"objects": self.objects}

    def load_state_dict(self, state):
        self.objects = state["objects"]
        self.reset() if self.image is not None else None
