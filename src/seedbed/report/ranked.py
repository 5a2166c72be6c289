"""Finders in order under a truth, and the few comparisons that sentences and figures rest on."""

from seedbed.core.selectivity import DirectionRow
from seedbed.report.leading import DECLARED, LDS, MEASURED
from seedbed.report.reader import Run
from seedbed.report.schema import ORACLE, Score


def best_on(run: Run, truth: str, metric: str, slice_: str) -> Score | None:
    """The finder (no control) with the highest value, or None."""
    rows = ranked_on(run, truth, metric, slice_)
    return rows[0] if rows else None


def ranked_on(run: Run, truth: str, metric: str, slice_: str) -> list[Score]:
    """Finders (no controls) with a value, highest first."""
    found = (run.score(name, truth, metric, slice_) for name in run.finders(truth))
    rows = [row for row in found if row is not None and row.value is not None]
    return sorted(rows, key=lambda row: (-(row.value or 0.0), row.finder))


def under_both(run: Run) -> list[tuple[Score, Score]]:
    """The leading rows (declared, measured) of each finder that has both, best declared first."""
    return [
        (a, b)
        for a in ranked_on(run, DECLARED, run.lead(DECLARED), "all")
        if (b := run.score(a.finder, MEASURED, LDS, "all")) is not None and b.value is not None
    ]


def overlap(a: Score | DirectionRow, b: Score | DirectionRow) -> bool:
    """Whether two intervals share a point; False if one is not defined."""
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low <= b.high and b.low <= a.high


def clearly_above(a: Score | None, b: Score | None) -> bool:
    """Whether the whole interval of `a` lies above that of `b`."""
    return (
        a is not None and b is not None and a.low is not None and b.high is not None
        and a.low > b.high
    )  # fmt: skip


def question_slices(run: Run) -> list[str]:
    """`all`, then the slices by the key that the gate uses (else `depth`, else the first)."""
    single = [s for s in run.slices if "=" in s and "," not in s and not s.startswith("hop")]
    keys = [s.partition("=")[0] for s in single]
    wanted = [*(row.slice.partition("=")[0] for row in run.gate), "depth", *keys]
    key = next((k for k in wanted if k in keys), "")
    return ["all", *(s for s in single if s.startswith(f"{key}="))]


def ceiling(run: Run, slice_: str = "all", metric: str = LDS) -> Score | None:
    """The row of the highest correlation that seed noise leaves; None if not defined."""
    row = run.score(ORACLE, MEASURED, metric, slice_)
    return row if row is not None and row.value is not None else None


def share_of_ceiling(row: Score) -> float | None:
    """What part of the ceiling a row of the measured truth reaches; None without a ceiling."""
    if row.value is None or row.oracle is None or row.oracle <= 0:
        return None
    return row.value / row.oracle
