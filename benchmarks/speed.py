"""Seconds a click and peak memory: literal Algorithm 1, each shortcut alone, and the default, as ratios in one run.

All on the same photo and clicks, each in a process of its own. Times on shared machines differ from run to run; the ratios do
so less. The tables of growth show how the default's time grows with the size and with the number of clicks; the last, if
there are real images, what OpenCV and scikit-image do without a network, with the clicks it takes (`baselines.py`).

    python benchmarks/speed.py --plot benchmarks/speed.png
    python benchmarks/speed.py --only "literal Algorithm 1" --only "default IA" --device cuda
    python benchmarks/speed.py --table growth --plot benchmarks/speed.png
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from tables import refuse_unknown
from torch import nn

import ilsegkit as ils
from ilsegkit.adaptation import PAPER, Adaptation, named_adaptation
from ilsegkit.model import ModelConfig

# The shuttle behind the astronaut: a photo of 512 by 512 pixels, and an object that leaves room for a window.
PHOTO = "astronaut"
POINTS = [(0.80, 0.29, 1), (0.83, 0.45, 1), (0.64, 0.12, 0), (0.89, 0.40, 1), (0.94, 0.12, 0), (0.77, 0.12, 1)]
SIDES = (256, 384, 512, 768, 1024)  # the widest from which the first feature maps are blocks that glibc does not keep
TABLES = ("ways", "growth", "classical")
FORWARD = "fixed, one forward pass"
# Never trained: they are here for their time alone.
DENSE = ModelConfig("DeepLabV3Plus", "resnet18", {"encoder_output_stride": 16, "decoder_channels": 128}, multiple=16)
LIGHT = {"encoder_output_stride": 16, "decoder_atrous_rates": (6, 12, 18), "decoder_channels": 64}


@dataclass(frozen=True)
class Way:
    """IA or SA, what is changed in the session before it starts, another network, and how and where it runs."""

    adaptation: Adaptation
    change: Callable[[ils.Session], object] | None = None
    config: ModelConfig | None = None
    as_bundled: bool = False  # size and zoom
    own_malloc: bool = True  # False: as glibc is set
    on_thread: bool = False  # as the widget's worker, not in the main thread
    prepared: bool = False  # before each click, as in the widget, which takes the time in which a person looks


def channels_first(session: ils.Session) -> None:
    """Tensors in PyTorch's usual order instead of channels last."""

    def encode(model: ils.InteractiveSegmenter, image: torch.Tensor, guidance: torch.Tensor, **_: bool) -> list[torch.Tensor]:
        x = torch.cat([(image - model.mean) / model.std, guidance], dim=1)
        height, width = x.shape[-2:]
        return model.network.encoder(nn.functional.pad(x, (0, -width % 16, 0, -height % 16)))

    session.model.to(memory_format=torch.contiguous_format)
    session.model.encode = MethodType(encode, session.model)


def fused_adam(session: ils.Session) -> None:
    """One kernel for all of Adam."""
    torch.optim.Adam = partial(torch.optim.Adam, fused=True)


def nearest(session: ils.Session) -> None:
    """Losses of the logits at stride 4: each counts for 4 x 4 pixels, instead of being interpolated to them."""
    session.model.network.segmentation_head[1] = nn.UpsamplingNearest2d(scale_factor=4)


def not_frozen(session: ils.Session) -> None:
    """Batch norms of the encoder are run, and not folded into its convolutions."""
    session.model.frozen._up_to_date = lambda: session.model.network.encoder


def not_spared(session: ils.Session) -> None:
    """SA's step keeps what happens inside the encoder's blocks."""
    session.model.sparing_memory = nullcontext


def compiled(session: ils.Session) -> None:
    """The network through torch.compile, which needs a C++ compiler on CPUs."""
    not_frozen(session)  # what would be run in its place is a copy that is not compiled
    for part in ("encoder", "decoder", "segmentation_head"):
        getattr(session.model.network, part).compile()


def network_alone(session: ils.Session) -> None:
    """What colours and textures say is left out."""
    session.model.config = replace(session.model.config, appearance=0.0)


def bf16(session: ils.Session) -> None:
    """Most of the arithmetic in 16 bits. It is never left, so it must not keep 16 bit copies of weights that learn."""
    torch.autocast(session.model.device.type, torch.bfloat16, cache_enabled=False).__enter__()


def ways(model: ils.InteractiveSegmenter) -> dict[str, Way]:
    """What is measured. All literal ones do their steps at the rate chosen for the weights: the time is the same for all."""
    chosen = named_adaptation("IA+SA", model.adaptation)
    literal = replace(PAPER["IA"], rate=chosen.image.rate)
    of = {
        "literal Algorithm 1": Way(Adaptation(literal)),
        "- decoder only": Way(Adaptation(replace(literal, scope="decoder"))),
        "- half the steps": Way(Adaptation(replace(literal, steps=literal.steps // 2))),
        "- stop when confident": Way(Adaptation(replace(literal, confident=0.8))),
        "- losses at stride 4": Way(Adaptation(literal), nearest),
        "- fused Adam": Way(Adaptation(literal), fused_adam),
        "- bf16": Way(Adaptation(literal), bf16),
        "- torch.compile": Way(Adaptation(literal), compiled),
        "- without channels last": Way(Adaptation(literal), channels_first),
        "- with glibc's own settings": Way(Adaptation(literal), own_malloc=False),
        "- lighter decoder, untrained": Way(Adaptation(literal), config=replace(model.config, options=LIGHT)),
        "- ResNet-18, untrained": Way(Adaptation(literal), config=DENSE),
        "default IA": Way(Adaptation(chosen.image)),
        "- but glibc's own settings": Way(Adaptation(chosen.image), own_malloc=False),
        "- without frozen encoder": Way(Adaptation(chosen.image), not_frozen),
        "- on a thread, as in the widget": Way(Adaptation(chosen.image), on_thread=True),
        "- on a thread, glibc's own settings": Way(Adaptation(chosen.image), own_malloc=False, on_thread=True),
        "- losses at stride 4 too": Way(Adaptation(chosen.image), nearest),
        "- fused Adam too": Way(Adaptation(chosen.image), fused_adam),
        "- bf16 too": Way(Adaptation(chosen.image), bf16),
        "- torch.compile too": Way(Adaptation(chosen.image), compiled),
        "- as bundled: 384 px, zoom": Way(Adaptation(chosen.image), as_bundled=True),
        "- as bundled, prepared": Way(Adaptation(chosen.image), as_bundled=True, prepared=True),
        "default SA": Way(Adaptation(sequence=chosen.sequence)),
        "- SA as bundled": Way(Adaptation(sequence=chosen.sequence), as_bundled=True),
        "- SA as bundled, memory not spared": Way(Adaptation(sequence=chosen.sequence), not_spared, as_bundled=True),
        FORWARD: Way(Adaptation()),
        "- fixed as bundled": Way(Adaptation(), as_bundled=True),
        "- fixed as bundled, prepared": Way(Adaptation(), as_bundled=True, prepared=True),
        "- fixed as bundled, without frozen encoder": Way(Adaptation(), not_frozen, as_bundled=True),
        "- without colours and textures": Way(Adaptation(), network_alone, as_bundled=True),
    }
    if platform.libc_ver()[0] != "glibc":
        of = {name: way for name, way in of.items() if way.own_malloc}
    if shutil.which("c++") is None:
        of = {name: way for name, way in of.items() if way.change is not compiled}
    return of


def clicks(count: int) -> list[tuple[float, float, int]]:
    """So many clicks, in 0-1: the points above, then the same a little aside."""
    return [((x + 0.013 * (i // 6)) % 1, (y + 0.017 * (i // 6)) % 1, p) for i, (x, y, p) in enumerate(POINTS * 10)][:count]


def measure(name: str, size: int, count: int, device: str | None) -> dict:
    """Seconds of every click, to the first answer to it, and to finish; peak resident memory of this process, in MiB."""
    model = ils.load_model(device=device)
    way = ways(model)[name]
    if way.config is not None:
        torch.set_flush_denormal(True)  # a network that was never trained makes numbers that are slow to compute with
        model = ils.InteractiveSegmenter(way.config).to(model.device).eval()
    if not way.as_bundled:
        model.config = replace(model.config, input_size=size, zoom=None)
    session = ils.Session(model, way.adaptation)
    if way.change is not None:
        way.change(session)
    image = ils.offline_photos()[PHOTO]
    session.set_image(image)
    seconds, answers = [], []
    for x, y, label in clicks(count):
        early: list[float] = []
        if way.prepared:
            session.prepare()
        began = time.perf_counter()
        at = (x * image.shape[1], y * image.shape[0], bool(label))
        session.click(*at, on_prediction=lambda _, to=early: to.append(time.perf_counter()))
        seconds.append(time.perf_counter() - began)
        answers.append((early[0] if early else time.perf_counter()) - began)
    began = time.perf_counter()
    session.finish()
    finish = time.perf_counter() - began
    try:
        import resource
    except ImportError:  # Windows
        peak = float("nan")
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"seconds": seconds, "answers": answers, "finish": finish, "peak": peak}


def growth(run: Callable[[str, int, int], dict], size: int, plot: Path | None) -> None:
    """How the default's seconds a click grow with the size, and at one size with the number of clicks."""
    shown = ("default IA", FORWARD)
    by_size = pd.DataFrame(
        [{"longest side": side, **{way: np.median(run(way, side, 6)["seconds"][1:]) for way in shown}} for side in SIDES]
    )
    typer.echo(f"\n{by_size.to_markdown(index=False, floatfmt=('.0f', '.3f', '.3f'))}\n")
    by_clicks = pd.DataFrame({way: run(way, size, 30)["seconds"] for way in shown}).iloc[1:]
    by_clicks.index.name = "clicks"
    typer.echo(by_clicks.groupby((by_clicks.index - 1) // 5 * 5 + 5).median().to_markdown(floatfmt=".3f"))
    if plot is None:
        return
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
    for way in shown:
        left.plot(by_size["longest side"] ** 2 / 1e6, by_size[way], marker="o", label=way)
        right.plot(by_clicks.index, by_clicks[way], label=way)
    left.set(xlabel="megapixels of a square image at this longest side", ylabel="seconds a click", ylim=(0, None))
    right.set(xlabel=f"clicks so far ({size} px)")
    left.legend()
    figure.savefig(plot, dpi=120)


def main(
    size: Annotated[int, typer.Option(help="longest side in pixels")] = 512,
    threads: int = 2,
    device: str | None = "cpu",
    table: Annotated[list[str], typer.Option(help="ways, growth or classical; if left out, all, but ways with --only")] = [],  # noqa: B006
    plot: Annotated[Path | None, typer.Option(help="PNG of the time against the size and against the number of clicks")] = None,
    only: Annotated[list[str], typer.Option(help="rows of the first table; all of them if left out")] = [],  # noqa: B006
    way: Annotated[str | None, typer.Option(hidden=True)] = None,
    on_thread: Annotated[bool, typer.Option("--on-thread", hidden=True)] = False,
    count: Annotated[int, typer.Option(min=2, max=60, help="clicks; the first warms up")] = 6,
    data: Annotated[Path, typer.Option(help="real images, for OpenCV and scikit-image")] = Path("../shared/data"),
    most: Annotated[int, typer.Option(help="objects of each set at most, there")] = 20,
) -> None:
    if way is not None:
        torch.set_num_threads(threads)
        if on_thread:
            with ThreadPoolExecutor(1) as thread:
                result = thread.submit(measure, way, size, count, device).result()
        else:
            result = measure(way, size, count, device)
        typer.echo(json.dumps(result))
        return

    of = ways(ils.load_model(device="cpu"))
    tables = table or (["ways"] if only else TABLES)
    refuse_unknown(only, of)
    refuse_unknown(tables, TABLES)

    def run(name: str, size: int, count: int) -> dict:
        command = [sys.executable, __file__, "--way", name]
        command += ["--size", str(size), "--threads", str(threads), "--count", str(count), "--device", str(device)]
        command += ["--on-thread"] * of[name].on_thread
        # What a user has chosen stays; this is what glibc takes anyhow.
        environment = os.environ if of[name].own_malloc else {**os.environ, "MALLOC_ARENA_TEST": "8"}
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        return json.loads(output.splitlines()[-1])

    typer.echo(f"{size} px, {threads} threads, {device}, torch {torch.__version__}")
    if "ways" in tables:
        # The first click warms up.
        rows = []
        for name in only or of:
            result = run(name, size, count)
            row = {"way": name, "s/click": np.median(result["seconds"][1:]), "slowest": max(result["seconds"][1:])}
            row |= {"first click": result["seconds"][0], "first answer": np.median(result["answers"][1:])}
            rows.append(row | {"finish": result["finish"], "peak MiB": result["peak"]})
        frame = pd.DataFrame(rows)
        frame.insert(2, "faster", frame["s/click"].iloc[0] / frame["s/click"])
        typer.echo(f"\n{frame.to_markdown(index=False, floatfmt='.2f')}")
    if "growth" in tables:
        growth(run, size, plot)
    if "classical" in tables and data.is_dir():
        from baselines import SETS
        from baselines import table as classical  # here, as the processes that measure shall not hold what it needs

        found = classical(ils.load_model(device="cpu"), SETS, data, most, threads)
        typer.echo(f"\n{found.to_markdown(index=False, floatfmt='.2f')}")
    elif "classical" in tables:
        typer.echo(f"\nThere is no folder {data}: OpenCV and scikit-image are left out.")


if __name__ == "__main__":
    typer.run(main)
