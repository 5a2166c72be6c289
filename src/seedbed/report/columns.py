"""The columns of the main table under each truth, the same in the terminal and on the page."""

from dataclasses import dataclass

from seedbed.report import wording
from seedbed.report.leading import BY_HOP, DECLARED, DROP, LEADING
from seedbed.report.ranked import question_slices
from seedbed.report.reader import Run
from seedbed.report.schema import Score

_SHORT = {
    "average_precision": "average\nprecision",
    "r_precision": "R-\nprec.",
    "mrr": "MRR",
    "recall@10": "recall\n@10",
    "roc_auc": "ROC-\nAUC",
    "group_r": "group\nr",
    "single_r": "single\nr",
    "trained_auc": "AUC",
    "trained_in_top10": "in top 10",
    "trained_gap": "gap (sd)",
}
_SLICES = 5
TRAINED = ("trained_auc", "trained_in_top10", "trained_gap")


@dataclass(frozen=True)
class Column:
    """One metric on one slice; `spread` shows the interval beside the value."""

    metric: str
    slice: str
    spread: bool = False
    head: str = ""

    @property
    def label(self) -> str:
        """The heading on the page, in one line."""
        where = "" if self.slice == "all" else f" {wording.slice_words(self.slice)}"
        return wording.metric(self.metric) + where


def main_columns(run: Run, truth: str, slice_: str = "all", hops: int = 99) -> list[list[Column]]:
    """What leads first, in blocks that may be split over tables; columns without rows are left out.

    `hops`: at most so many columns of evidence by hop, which stand in place of the whole AUC.
    """
    found = _declared(run, slice_, hops) if truth == DECLARED else _measured(run, slice_)
    have = {(row.metric, row.slice) for row in run.scores if row.truth == truth}
    kept = [[c for c in block if (c.metric, c.slice) in have] for block in found]
    return [block for block in kept if block]


def prices(row: Score) -> dict[str, float | None]:
    """The cost columns of a row; peak memory stands under the declared truth only."""
    found = {"seconds": row.seconds, "epochs": row.epochs}
    return {**found, "peak MiB": row.peak_mib} if row.truth == DECLARED else found


def trained_columns(run: Run) -> list[Column]:
    """Trained against held-out documents, where some were held out."""
    return [Column(m, "all", True, _SHORT[m]) for m in TRAINED if m in run.metrics_of(DECLARED)]


def _declared(run: Run, slice_: str, hops: int) -> list[list[Column]]:
    by_hop = [
        Column(BY_HOP, hop, head=f"AUC\n{hop.replace('=', ' ')}")
        for hop in (run.hops[:hops] if slice_ == "all" else ())
    ]
    lead = run.lead(DECLARED)
    block = [Column(lead, slice_, True, _SHORT[lead])]
    if lead == BY_HOP:
        parts = question_slices(run)[1:_SLICES] if slice_ == "all" else []
        return [[*block, *(Column(lead, s, True, _head(lead, s)) for s in parts)]]
    block += by_hop or [Column(BY_HOP, slice_, head=_SHORT[BY_HOP])]
    block += [Column(m, slice_, head=_SHORT[m]) for m in ("r_precision", "mrr", "recall@10")]
    return [block]


def _measured(run: Run, slice_: str) -> list[list[Column]]:
    lead, drops = LEADING["measured"], [m for m in run.metrics if m.startswith(DROP)]
    slices = question_slices(run)[:_SLICES] if slice_ == "all" else [slice_]
    block = [Column(lead, s, True, _head(lead, s)) for s in slices]
    others = [Column(m, slice_, True, _SHORT[m]) for m in ("group_r", "single_r")]
    others += [Column(m, slice_, True, f"drop\n@{m.removeprefix(DROP)}") for m in drops]
    return [block, others]


def _head(metric: str, slice_: str) -> str:
    where = "" if slice_ == "all" else f"\n{slice_.replace('=', ' ')}"
    return wording.metric(metric) + where
