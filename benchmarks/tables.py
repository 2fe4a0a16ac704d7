"""The table that `real_sets.py` and `scenes.py` print, and the names that benchmarks are given."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import typer

import ilsegkit as ils
from ilsegkit.adaptation import MODES
from ilsegkit.metrics import mean_interval

#: Modes in which IA is Algorithm 1 to the letter.
LITERAL = ("literal IA", "literal IA+SA")


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Tell a wrong name before anything is measured."""
    if wrong := set(given) - set(known):
        raise typer.BadParameter(f"there is no {', '.join(sorted(wrong))}; choose of {', '.join(known)}")


def clicks_table(records: Path, targets: Mapping[str, float], heading: str) -> pd.DataFrame:
    """A row for each set and mode that has been measured.

    `saved` is the clicks saved per object against the fixed model on the same objects, `from` and `to` its 95% bootstrap
    interval, and `change` the same as a share of the fixed model's clicks. A row that is still being measured is about the
    objects so far, and says how many.
    """
    rows = []
    for name, target in targets.items():
        fixed = None
        for mode in (*MODES, *LITERAL):
            path = records / f"{name}_{mode}.jsonl"
            if not path.is_file() or not path.stat().st_size or not len(found := ils.Results.read(path)):
                continue  # the first object is being measured
            results = ils.Results(found.records, target, found.max_clicks)
            half = ils.Results(results.records[len(results) // 2 :], target, results.max_clicks)
            fixed = results if mode == "none" else fixed
            gain = dict.fromkeys(("change", "saved", "from", "to"), "")
            if fixed is not None and fixed is not results and len(fixed) >= len(results):
                before, after = fixed.clicks_each()[: len(results)], results.clicks_each()
                low, high = mean_interval(before - after)
                gain = {"change": f"{after.mean() / before.mean() - 1:+.0%}", "saved": f"{(before - after).mean():.2f}"}
                gain |= {"from": f"{low:.2f}", "to": f"{high:.2f}"}
            rows.append(
                {
                    heading: f"{name} ({len(results)}) @{target:.0%}",
                    "mode": "fixed" if mode == "none" else mode,
                    "clicks": results.clicks_at(),
                    **gain,
                    "2nd half": half.clicks_at(),
                    **{f"IoU@{k}": results.iou_at(k) for k in (1, 2, 4, 10)},
                    "respected": results.respected(),
                    "s/click": results.seconds_per_click(),
                }
            )
    return pd.DataFrame(rows)
