"""What a user would pick without a network, given the same clicks: OpenCV's GrabCut and scikit-image's random walker.

The robot user clicks on the largest error of each method's own mask; clicks and seconds are side by side with the fixed model
and IA, in one run on the same objects.

    python benchmarks/baselines.py --most 20
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pandas as pd
import torch
import typer
from real_sets import TASKS, dataset
from skimage.segmentation import random_walker
from tables import refuse_unknown
from tqdm.auto import tqdm

import ilsegkit as ils
from ilsegkit.clicks import Click, next_click
from ilsegkit.metrics import iou

SETS = ("grabcut-20", "fundus_disc")
#: Longest side at which the baselines work, as the model does; radius of a click's seed there.
SIDE, RADIUS = 384, 3


def seeds(clicks: list[Click], shape: tuple[int, int], scale: float) -> np.ndarray:
    """0 where nothing is known, 1 around background clicks, 2 around foreground clicks."""
    labels = np.zeros(shape, np.uint8)
    for click in clicks:
        cv2.circle(labels, (round(click.x * scale), round(click.y * scale)), RADIUS, 2 if click.positive else 1, -1)
    return labels


def grabcut(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Seeds are sure; a disk of a third of the image around the foreground ones is probably object, the rest probably not."""
    near = cv2.distanceTransform((labels != 2).astype(np.uint8), cv2.DIST_L2, 5) < max(labels.shape) / 6
    mask = np.where(near, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask[labels == 1], mask[labels == 2] = cv2.GC_BGD, cv2.GC_FGD
    cv2.setRNGSeed(0)
    cv2.grabCut(image, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def walker(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The border of the image is background as well, as it must be seeded with something."""
    labels = labels.copy()
    border = np.ones(labels.shape, bool)
    border[1:-1, 1:-1] = False
    labels[border & (labels == 0)] = 1
    return random_walker(image, labels, beta=130, mode="cg_j", channel_axis=-1, tol=1e-2) == 2


def classical(method: Callable[[np.ndarray, np.ndarray], np.ndarray], image: np.ndarray, clicks: list[Click]) -> np.ndarray:
    """The mask that a method without a network gives for the clicks, at the size of the image."""
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    mask = method(small, seeds(clicks, small.shape[:2], scale))
    return cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0


def segment(sample: ils.Sample, answer: Callable[[list[Click]], np.ndarray], target: float) -> tuple[int, list[float]]:
    """Clicks the robot user needs, 20 for a miss, and the seconds of each answer."""
    mask, clicks, seconds = np.zeros_like(sample.mask), [], []
    while len(clicks) < 20 and (click := next_click(mask, sample.mask, sample.ignore, clicks)) is not None:
        clicks.append(click)
        began = time.perf_counter()
        mask = answer(clicks)
        seconds.append(time.perf_counter() - began)
        if iou(mask, sample.mask, sample.ignore) >= target:
            return len(clicks), seconds
    return 20, seconds


def table(model: ils.InteractiveSegmenter, sets: Sequence[str], data: Path, most: int, threads: int) -> pd.DataFrame:
    """Mean clicks to the target, 20 for a miss, beside the median seconds a click; a row for each set and way."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    rows = []
    for name in sets:
        objects, target = dataset(name, data, most), TASKS[name].target
        for way in ("GrabCut (OpenCV)", "random walker (scikit-image)", "fixed", "IA"):
            session = ils.Session(model, {"fixed": "none"}.get(way, "IA"))
            counts, seconds = [], []
            for i in tqdm(range(len(objects)), desc=f"{name}, {way}"):
                sample = objects[i]
                session.set_image(sample.image)
                if way in ("fixed", "IA"):
                    answer = lambda clicks: session.click(*clicks[-1])  # noqa: E731, B023
                else:
                    method = grabcut if way.startswith("GrabCut") else walker
                    answer = lambda clicks: classical(method, sample.image, clicks)  # noqa: E731, B023
                count, times = segment(sample, answer, target)
                counts.append(count)
                seconds += times
            row = {"set": f"{name} ({len(objects)}) @{target:.0%}", "way": way}
            rows.append(row | {"clicks": np.mean(counts), "s/click": np.median(seconds)})
    return pd.DataFrame(rows)


def main(
    sets: Annotated[list[str], typer.Option(help="which sets")] = list(SETS),  # noqa: B006
    data: Path = Path("../shared/data"),
    most: Annotated[int, typer.Option(help="objects of each set at most")] = 20,
    threads: int = 1,
) -> None:
    refuse_unknown(sets, TASKS)
    typer.echo(table(ils.load_model(device="cpu"), sets, data, most, threads).to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    typer.run(main)
