"""The table that `real_sets.py` and `scenes.py` print."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

import ilsegkit as ils
from ilsegkit.adaptation import MODES

#: Modes in which IA is Algorithm 1 to the letter.
LITERAL = ("literal IA", "literal IA+SA")


def clicks_table(records: Path, targets: Mapping[str, float], heading: str) -> pd.DataFrame:
    """A row for each set and mode that has been measured; `change` is clicks against the fixed model's on the same objects.

    A row that is still being measured is about the objects so far, and says how many.
    """
    rows = []
    for name, target in targets.items():
        fixed = None
        for mode in (*MODES, *LITERAL):
            path = records / f"{name}_{mode}.jsonl"
            if not path.is_file():
                continue
            frame = pd.read_json(path, lines=True)
            results = ils.Results(frame[1:].to_dict("records"), target, int(frame["max_clicks"][0]))
            half = ils.Results(results.records[len(results) // 2 :], target, results.max_clicks)
            fixed = results if mode == "none" else fixed
            clicks, of_fixed = results.clicks_at(), float("nan")
            if fixed is not None and len(fixed) >= len(results):
                of_fixed = ils.Results(fixed.records[: len(results)], target, results.max_clicks).clicks_at()
            rows.append(
                {
                    heading: f"{name} ({len(results)}) @{target:.0%}",
                    "mode": "fixed" if mode == "none" else mode,
                    "clicks": clicks,
                    "change": f"{clicks / of_fixed - 1:+.0%}" if of_fixed > 0 else "",
                    "2nd half": half.clicks_at(),
                    **{f"IoU@{k}": results.iou_at(k) for k in (1, 2, 4, 10)},
                    "respected": results.respected(),
                    "s/click": results.seconds_per_click(),
                }
            )
    return pd.DataFrame(rows)
