"""A person against the robot user: who needs fewer clicks for the same objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from .data.sample import Sample
from .errors import DataError
from .evaluation import Results, evaluate
from .records import ObjectRecord
from .session import Session

__all__ = ["Contest", "hold_contest", "person_results"]


def person_results(objects: Iterable[tuple[str, ObjectRecord]], target_iou: float, max_clicks: int = 20) -> Results:
    """What a person achieved, in the form of what `ilsegkit.evaluate` gives.

    Parameters
    ----------
    objects : iterable of (str, ObjectRecord)
        Image and object, as they were finished; of several objects of an image the first counts.
    target_iou : float
    max_clicks : int, optional
        A miss counts as this many.

    Raises
    ------
    DataError
        If the truth is known for none of them.

    Examples
    --------
    >>> from ilsegkit import Click
    >>> from ilsegkit.records import Stage
    >>> record = ObjectRecord((Click(1, 1),), (Stage({}, 0.1, 0.2, iou=0.9),))
    >>> person_results([("cat", record)], target_iou=0.85).clicks_at()
    1.0
    """
    records: dict[str, dict] = {}
    for name, record in objects:
        if name in records or not any(stage is not None and stage.iou is not None for stage in record.stages):
            continue
        stages = [stage for stage in record.stages if stage is not None]
        # Seeds are the robot's clicks, for a mask to start from.
        records[name] = {
            "object_id": name,
            "class_name": record.class_name,
            "image_id": name,
            "clicks": [[c.x, c.y, int(c.positive)] for c in record.clicks[record.seeds :]],
            "iou": record.ious[record.seeds :],
            "respected": [],
            "seconds": [stage.seconds for stage in stages],
            "began_from_mask": record.start is not None,
        }
    if not records:
        raise DataError("there is no finished object whose true mask is known; give the widget samples, or truth=...")
    return Results(list(records.values()), target_iou, max_clicks)


class Contest:
    """Results of several users on the same objects.

    Parameters
    ----------
    results : mapping of str to Results
        By who made the clicks.

    Raises
    ------
    DataError
        If there are none, or two objects have one name.

    Examples
    --------
    >>> def results(*ious):
    ...     return Results([{"object_id": str(i), "iou": list(each)} for i, each in enumerate(ious)], 0.85, 20)
    >>> contest = Contest({"you": results([0.9], [0.6, 0.9]), "robot": results([0.5, 0.9], [0.9])})
    >>> contest.to_frame()["robot"].to_dict()
    {'0': 2.0, '1': 1.0, 'mean': 1.5}
    """

    def __init__(self, results: Mapping[str, Results]) -> None:
        self.results = dict(results)
        if not self.results:
            raise DataError("a contest needs results; give them by who made the clicks")
        for who, done in self.results.items():
            if len({record["object_id"] for record in done.records}) < len(done):
                raise DataError(f"the results of {who!r} have two objects of one name; give each its own")

    def to_frame(self) -> pd.DataFrame:
        """Clicks to reach the target, a row an object, and their mean; an object that was not done is left empty."""
        columns = {
            who: pd.Series(done.clicks_each(), [record["object_id"] for record in done.records])
            for who, done in self.results.items()
        }
        table = pd.DataFrame(columns).rename_axis("object").astype(float)
        table.loc["mean"] = table.mean()
        return table

    def plot(self):
        """Draw clicks for each object, and mean IoU against clicks; gives the Matplotlib figure."""
        import matplotlib.pyplot as plt

        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
        target = next(iter(self.results.values())).target_iou
        self.to_frame().plot.bar(ax=left, rot=30, width=0.75, color=["#0072b2", "#e69f00", "#009e73"][: len(self.results)])
        left.set(xlabel="", ylabel=f"clicks to IoU {target:g}")
        left.axvline(len(self.to_frame()) - 1.5, color="grey", linewidth=0.8)
        for (who, done), colour in zip(self.results.items(), ["#0072b2", "#e69f00", "#009e73"], strict=False):
            done.plot(right, label=who, color=colour)
        right.axhline(target, color="grey", linestyle=":", linewidth=1)
        right.legend()
        plt.close(figure)  # shown once, by being a cell's last expression
        return figure


def hold_contest(person: Results, samples: Sequence[Sample], session: Session, rule: str = "paper") -> Contest:
    """Let the robot user do what a person has done, with a session of its own.

    Parameters
    ----------
    person : Results
    samples : sequence of Sample
        The objects.
    session : Session
        Fresh, with the adaptation the person worked with.
    rule : str, optional
        See `ilsegkit.clicks.RULES`.
    """
    robot = evaluate(samples, session, person.target_iou, person.max_clicks, rule, progress=False)
    return Contest({"you": person, "robot": robot})
