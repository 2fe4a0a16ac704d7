"""The objects that a training is at work on: with their first clicks out of the data, and into a checkpoint and back."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from .clicks import Click, next_click, sample_clicks
from .data.crops import Crop, RandomCrops
from .errors import IlsegkitError

__all__ = ["Slot", "Starts", "begin_robot", "first_clicks", "kept", "supply_of", "taken_up"]


class _From(Sampler[int]):
    """Indices start, start + 1, ...: where a stopped training goes on."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        index = self.start
        while True:
            yield index
            index += 1


def _as_is(crop: Any) -> Any:
    """No collating: batches are put together from slots."""
    return crop


def first_clicks(crop: Crop, stage: int, rng: np.random.Generator) -> list[Click]:
    """Sampled clicks; in stage 2, for half of the objects the robot user's first click, as at test time."""
    target = crop.target == 1
    if stage == 2 and rng.random() < 0.5:
        click = next_click(np.zeros_like(target), target)
        return [click] if click else []
    return sample_clicks(target, rng, crop.others, ignore=crop.target == -1)


class Starts(Dataset["Slot | IlsegkitError"]):
    """Objects with the clicks they start from. The first ones are for stage 1: as many as it uses up."""

    def __init__(self, crops: RandomCrops, first_stage: int) -> None:
        self.crops, self.first_stage = crops, first_stage

    def __getitem__(self, index: int) -> Slot | IlsegkitError:
        try:
            crop, rng = self.crops[index], np.random.default_rng([self.crops.seed, 1, index])
        except IlsegkitError as error:  # raised in a worker's process, its sentence would be the whole traceback
            return error
        return Slot(index, crop, first_clicks(crop, 1 if index < self.first_stage else 2, rng))


@dataclass
class Slot:
    """A place in the batch: an object, the clicks it has so far, and the next one, which may still be on its way."""

    index: int
    crop: Crop
    clicks: list[Click]
    rounds: int = 0
    coming: Future[Click | None] | None = None


def supply_of(starts: Starts, drawn: int, workers: int) -> Iterator[Slot]:
    """Objects without end, after the first `drawn`, read by so many processes.

    Raises
    ------
    ImageError
        If one cannot be read.
    """
    return map(_usable, DataLoader(starts, batch_size=None, sampler=_From(drawn), collate_fn=_as_is, num_workers=workers))


def _usable(found: Slot | IlsegkitError) -> Slot:
    if isinstance(found, IlsegkitError):
        raise found
    return found


def kept(slot: Slot | None) -> list | None:
    """What a checkpoint keeps of an object under way: which it is, its clicks with the next one, and its rounds."""
    click = None if slot is None or slot.coming is None else slot.coming.result()
    if slot is None or click is None:  # there would be another object next
        return None
    return [slot.index, [[c.x, c.y, c.positive] for c in (*slot.clicks, click)], slot.rounds]


def taken_up(starts: Starts, item: list | None) -> Slot | None:
    """The object that `kept` was given."""
    if item is None:
        return None
    index, clicks, rounds = item
    slot = _usable(starts[index])
    *slot.clicks, click = [Click(*click) for click in clicks]
    slot.rounds, slot.coming = rounds, Future()
    slot.coming.set_result(click)
    return slot


def begin_robot() -> None:
    """Begin a process that finds clicks: an interrupt is for the training, and it does not outlive that, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    training = multiprocessing.parent_process()

    def leave() -> None:
        if training is not None:
            training.join()
            os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
