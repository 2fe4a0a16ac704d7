"""What an experiment found: the paper's rows beside ours, the data behind them, and the paper's figures."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .evaluation import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Report", "Used"]


#: With fewer objects a bootstrap interval says nothing: it only knows what it has seen.
FEWEST = 5


#: Axes show at least so much IoU: a difference of a hundredth shall look like one.
SPAN = 0.25


class Used(NamedTuple):
    """A sequence that was run through."""

    name: str
    synthetic: bool
    skipped: int  # objects whose files are damaged
    results: Mapping[str, Results]  # by method

    @property
    def heading(self) -> str:
        """With the IoU aimed at and the number of objects, as in ``"horses@85 (20)"``."""
        first = next(iter(self.results.values()))
        return f"{self.name}@{100 * first.target_iou:g} ({len(first)})"


class Report:
    """Tables and figures of an experiment; a notebook shows the tables, the paper's on the left and ours on the right.

    Parameters
    ----------
    title, source : str
        Of the experiment, and where in the paper it stands.
    published : mapping of row to mapping of column to float
        The paper's clicks.
    used : sequence of Used
    missing : mapping of str to str, optional
        Sequences that were left out, and why.
    pooled : sequence of Used, optional
        Columns over the objects of several sequences together.
    profile : str, optional
        How large it was, in a line.

    Examples
    --------
    >>> results = {"initial": Results([{"iou": [0.5, 0.9]}], 0.85, 20), "SA": Results([{"iou": [0.9]}], 0.85, 20)}
    >>> report = Report("Domain change", "Table 3", {"initial": {"A@85": 4.0}}, [Used("B", False, 0, results)])
    >>> report.clicks()
             B@85 (1)
    initial       2.0
    SA            1.0
    """

    def __init__(
        self,
        title: str,
        source: str,
        published: Mapping[str, Mapping[str, float]],
        used: Sequence[Used],
        missing: Mapping[str, str] | None = None,
        pooled: Sequence[Used] = (),
        profile: str = "",
    ) -> None:
        self.title, self.source, self.used = title, source, list(used)
        self.missing, self.profile = dict(missing or {}), profile
        self._published, self._pooled = published, list(pooled)

    @property
    def synthetic(self) -> bool:
        """Whether the images were made by a program: then the numbers say nothing about real images."""
        return any(part.synthetic for part in self.used)

    def clicks(self) -> pd.DataFrame:
        """Our clicks@q: a row for each method, a column for each sequence."""
        parts = [*self.used, *self._pooled]
        return _in_order({part.heading: {m: r.clicks_at() for m, r in part.results.items()} for part in parts})

    def published(self) -> pd.DataFrame:
        """The paper's clicks@q."""
        rows = sorted(map(list, self._published.values()), key=len, reverse=True)
        columns = list(dict.fromkeys(column for row in rows for column in row))  # in the order of the longest row
        return pd.DataFrame.from_dict(self._published, orient="index").reindex(list(self._published), columns=columns)

    def iou(self, clicks: int) -> pd.DataFrame:
        """Our IoU@k, in the form of `clicks`."""
        return _in_order({part.heading: {m: r.iou_at(clicks) for m, r in part.results.items()} for part in self.used})

    def savings(self, confidence: float = 0.95) -> pd.DataFrame:
        """Clicks saved against the initial model, per object, with a bootstrap interval over the same objects.

        An interval that holds 0 means: with so few objects it may be chance; the column `verdict` says so.
        With fewer than five objects it says only that.
        """
        rows = []
        for part in self.used:
            for method, results in list(part.results.items())[1:]:
                saved = results.saved_against(part.results["initial"], confidence)
                verdict = "fewer clicks" if saved["from"] > 0 else "more clicks" if saved["to"] < 0 else "may be chance"
                verdict = "too few objects" if len(results) < FEWEST else verdict
                rows.append({"sequence": part.heading, "method": method, **saved, "verdict": verdict})
        return pd.DataFrame(rows).set_index(["sequence", "method"]).round(2)

    def data(self) -> pd.DataFrame:
        """What was run through: sequence, kind of images, objects, and how many had damaged files."""
        rows = [
            {
                "sequence": part.name,
                "images": "synthetic" if part.synthetic else "real",
                "objects": len(next(iter(part.results.values()))),
                "left out": part.skipped,
                "most clicks": next(iter(part.results.values())).max_clicks,
            }
            for part in self.used
        ]
        return pd.DataFrame(rows).set_index("sequence")

    def figure(self, clicks: int | None = None, window: int | None = None) -> Figure:
        """Above, IoU@k against clicks; below, IoU@k for one k against the objects processed; a column for each sequence.

        Parameters
        ----------
        clicks : int, optional
            Below, another k than 4, or than the most clicks if they are fewer.
        window : int, optional
            Below, the number of objects of a running mean; if left out, a third of the shortest sequence, and 3 to 100.

        Returns
        -------
        matplotlib.figure.Figure
        """
        import matplotlib.pyplot as plt

        from .plots import at_least, iou_curves, learning_curves

        count = len(self.used)
        if clicks is None:
            clicks = min(4, *(done.max_clicks for part in self.used for done in part.results.values()))
        if window is None:
            window = int(np.clip(min(len(next(iter(part.results.values()))) for part in self.used) // 3, 3, 100))
        figure, axes = plt.subplots(2, count, figsize=(4.2 * count + 0.6, 6), squeeze=False, layout="constrained")
        for part, (above, below) in zip(self.used, axes.T, strict=True):
            iou_curves(part.results, above, part.heading + (", synthetic" if part.synthetic else ""), legend=False)
            learning_curves(part.results, below, clicks, window, legend=False)
            below.set_ylabel(f"IoU@{clicks}, running mean of {window}")
            for ax in (above, below):
                ax.xaxis.get_major_locator().set_params(integer=True)
                at_least(ax, SPAN)
        lines, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(
            lines, names, loc="outside lower center", ncols=min(len(names), 2 if count == 1 else 5)
        )  # beside the curves
        return figure

    def save(self, folder: str | PathLike[str], name: str) -> tuple[Path, Path]:
        """Write ``name.csv`` and ``name.png``; gives their paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        table, picture = folder / f"{name}.csv", folder / f"{name}.png"
        self.clicks().to_csv(table, lineterminator="\n")
        figure = self.figure()
        figure.savefig(picture, dpi=120)
        figure.clear()
        return table, picture

    def _captions(self) -> tuple[str, str]:
        images = "SYNTHETIC scenes, not to be compared with real images" if self.synthetic else "real images"
        return f"Paper, {self.source}: clicks@q", f"Ours, {images}: clicks@q (number of objects)"

    def _published_text(self) -> pd.DataFrame:
        """With the digits that the paper gives: two in Table 4, else one."""
        table = self.published()
        return _with_change(table, 1 if np.allclose(table.round(1), table, equal_nan=True) else 2)

    def _notes(self) -> list[str]:
        return [self.profile, *(f"{name} is left out: {why}" for name, why in self.missing.items())]

    def __str__(self) -> str:
        paper, ours = self._captions()
        tables = {paper: self._published_text(), ours: _with_change(self.clicks()), "Data": self.data()}
        texts = [f"{caption}\n{table.to_string(na_rep='')}" for caption, table in tables.items()]
        return "\n\n".join(text for text in (self.title, *texts, *self._notes()) if text)

    def _repr_html_(self) -> str:
        tables = [
            table.to_html(na_rep="", border=0).replace(">\n  <thead>", f"><caption>{caption}</caption>\n  <thead>", 1)
            for table, caption in zip((self._published_text(), _with_change(self.clicks())), self._captions(), strict=True)
        ]
        boxes = "".join(f"<div>{table}</div>" for table in tables)
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self._notes() if note)
        return f'<div style="display: flex; flex-wrap: wrap; gap: 2em">{boxes}</div>{self.data().to_html(border=0)}{notes}'

    __repr__ = __str__


def _in_order(columns: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """A table whose rows stand in the order in which they come; pandas before 3 sorts them where the columns differ."""
    return pd.DataFrame(columns).reindex(list(dict.fromkeys(row for rows in columns.values() for row in rows)))


def _with_change(clicks: pd.DataFrame, digits: int = 1) -> pd.DataFrame:
    """Clicks as text, with the change against the initial model."""
    shown = clicks.map(lambda value: "" if pd.isna(value) else f"{value:.{digits}f}").astype(object)
    if "initial" in clicks.index:
        for row in clicks.index:
            for column in clicks.columns:
                start, value = clicks.loc["initial", column], clicks.loc[row, column]
                after = list(clicks.index).index(row) > list(clicks.index).index("initial")
                if after and not pd.isna(value) and not pd.isna(start):
                    shown.loc[row, column] += f" ({value / start - 1:+.0%})"
    return shown
