"""How numbers and names are written everywhere: tables, figures, sentences, page."""

import textwrap
from collections.abc import Sequence

from seedbed.report.leading import DROP
from seedbed.report.schema import Score

METRICS = {
    "average_precision": "average precision",
    "roc_auc": "ROC-AUC",
    "r_precision": "R-precision",
    "mrr": "MRR",
    "recall@10": "recall@10",
    "lds": "LDS",
    "group_r": "group r",
    "single_r": "single r",
    "pearson": "Pearson r",
    "recall@2%": "recall of the top 2 %",
    "trained_auc": "trained AUC",
    "trained_in_top10": "trained in the top 10",
    "trained_gap": "trained gap",
}
MEANING = {
    "average_precision": "mean of the precision at each true cause; 1 = all on top",
    "roc_auc": "share of (evidence, other) pairs in the right order; 0.5 = chance",
    "r_precision": "share of evidence among the top R, R = how many there are",
    "mrr": "1 / rank of the first true cause",
    "recall@10": "share of the evidence among the top 10",
    "lds": (
        "linear datamodelling score: rank correlation, over subjects retrained on random subsets, "
        "of the answer's likelihood with the summed scores of the documents kept"
    ),
    "group_r": "correlation with what leaving out all documents of a fact took from the answer",
    "single_r": "correlation with what leaving out single documents took from the answer",
    "pearson": "correlation, over cells, with what exact patching of each moved",
    "recall@2%": "share of the cells that moved most among as many on top of the claim",
    "trained_auc": "ROC-AUC of trained against held-out documents",
    "trained_in_top10": "share of trained documents among the top 10",
    "trained_gap": "mean score of trained minus held-out documents, in standard deviations",
}
MISSING = "–"
NO_INTERVAL = "no interval"


def metric(name: str) -> str:
    """The metric's name for a reader."""
    if name.startswith("top10:"):
        return f"{name.removeprefix('top10:')} in the top 10"
    return METRICS.get(name, name)


def meaning(name: str) -> str:
    """What the metric says, in half a line."""
    if name.startswith("top10:"):
        return f"share of the top 10 that are {name.removeprefix('top10:')}"
    if name.startswith(DROP):
        k = name.removeprefix(DROP)
        return f"nats that the answer lost when retrained without a finder's top {k} documents"
    return MEANING.get(name, "")


def number(value: float | None, places: int = 3) -> str:
    """A number with fixed places, which never reads -0.00."""
    return MISSING if value is None else f"{round(value, places) + 0.0:.{places}f}"


def percent(value: float | None) -> str:
    """A share as `61 %`."""
    return MISSING if value is None else f"{100 * value:.0f} %"


def interval(low: float | None, high: float | None, places: int = 2) -> str:
    """`[0.41, 0.52]`, or nothing if it is not defined."""
    if low is None or high is None:
        return ""
    return f"[{number(low, places)}, {number(high, places)}]"


def bounded(value: float, low: float | None, high: float | None) -> bool:
    """Whether a value has an interval: one unit alone has none, and a width of 0 says so.

    At an end of the scale (0, 1, -1) an interval may be that narrow: all units agree.
    """
    return low is not None and high is not None and (low < high or abs(value) in (0.0, 1.0))


def measured(value: float | None, low: float | None, high: float | None, places: int = 2) -> str:
    """`0.47 [0.41, 0.52]`, or `0.47 (no interval)`."""
    if value is None:
        return MISSING
    spread = interval(low, high, places) if bounded(value, low, high) else f"({NO_INTERVAL})"
    return f"{number(value, places)} {spread}"


def valued(row: Score | None, places: int = 2) -> str:
    """`0.47 [0.41, 0.52]`."""
    if row is None or row.value is None:
        return MISSING
    return f"{number(row.value, places)} {interval(row.low, row.high, places)}".strip()


def half_width(row: Score) -> float | None:
    """Half the width of the interval, the ± of a table."""
    return None if row.low is None or row.high is None else (row.high - row.low) / 2


def significant(value: float | None) -> str:
    """Three significant figures without an exponent: seconds, epochs, MiB."""
    if value is None:
        return MISSING
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 0.001:
        return "<0.001"
    return f"{value:.3g}"


def seconds(value: float | None) -> str:
    """A duration a person reads at a glance."""
    if value is None:
        return MISSING
    if value < 120:
        return f"{significant(value)} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def plural(count: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def slice_words(name: str) -> str:
    """A slice as a reader would say it: `hop>=1` → `hop ≥ 1`, `all` → `all questions`."""
    words = {"all": "all questions", "correct": "questions answered correctly"}
    parts = [p.replace(">=", " ≥ ").replace("=", " ", 1) for p in name.split(",")]
    return words.get(name, ", ".join(parts))


def wrapped(text: str, width: int) -> str:
    """`text` broken into lines of at most `width` characters."""
    return "\n".join(textwrap.wrap(text, width))
