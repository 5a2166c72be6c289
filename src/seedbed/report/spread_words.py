"""What a second stage spread to, in sentences: who fitted, how far, and what proxies protect.

Every number comes from spread.json.
"""

from collections.abc import Sequence

from seedbed.core.spread import NEITHER, NEW, OLD, Contrast, Spreading
from seedbed.report import wording
from seedbed.report.spread import open_

_FAILED = 8


def fit_findings(found: Spreading | None) -> list[str]:
    """How many subjects learned the second stage, and why the others do not count."""
    if found is None or not found.fits:
        return []
    cells = {(f.seed, f.arm, f.method) for f in found.fits}
    failed = [f for f in found.fits if not f.fitted]
    fitted = len(cells - {(f.seed, f.arm, f.method) for f in failed})
    lines = [
        f"{fitted} of {wording.plural(len(cells), 'subject')} learned what the second stage taught."
    ]
    if found.stopped:
        lines.append(f"{found.stopped[0].upper()}{found.stopped[1:]}.")
    lines += [
        f"Left out: {f.arm}, method {f.method}, seed {f.seed}: {f.group} answers by the "
        f"{f.outcome} rule {wording.number(f.value, 2)} {wording.interval(f.low, f.high)} on "
        f"{wording.plural(f.n, 'question')}; the lower end must reach "
        f"{wording.number(f.needed, 2)}."
        for f in failed[:_FAILED]
    ]
    if len(failed) > _FAILED:
        lines.append(f"And {len(failed) - _FAILED} more, in spread.json.")
    return lines


def findings(found: Spreading | None) -> list[str]:
    """Under the first method: how far the new rule spread, group by group and arm by arm."""
    if found is None:
        return []
    lines = []
    first = found.methods[0]
    for arm in found.arms:
        parts = []
        for group in found.groups:
            told = {r.outcome: r for r in found.shares
                    if (r.arm, r.method, r.group) == (arm, first, group)}  # fmt: skip
            row = told.get(NEW)
            if row is None or row.value is None:
                continue
            least = told.get(NEITHER)
            lost = least.value if least is not None and least.value is not None else 0.0
            more = f", neither {wording.number(lost, 2)}" if lost >= 0.1 else ""
            value = f"{wording.number(row.value, 2)} {wording.interval(row.low, row.high)}"
            parts.append(f"{group} {value}{more}")
        if parts:
            lines.append(f"Share of the new rule under {arm}: {'; '.join(parts)}.")
    return lines


def headline(found: Spreading | None) -> str:
    """One sentence: the untrained group that the last arm changes most; "" without two arms."""
    if found is None or len(found.arms) < 2:
        return ""
    first, last = found.arms[0], found.arms[-1]
    mine = (r for r in found.shares if (r.method, r.outcome) == (found.methods[0], NEW))
    rows = {(r.arm, r.group): r for r in mine if r.value is not None}
    both = [(rows[first, g], rows[last, g]) for g in found.groups
            if g not in found.trained and (first, g) in rows and (last, g) in rows]  # fmt: skip
    if not both:
        return ""
    then, now = max(both, key=lambda pair: abs((pair[0].value or 0.0) - (pair[1].value or 0.0)))
    shares = [
        f"{wording.number(r.value, 2)} {wording.interval(r.low, r.high)}" for r in (then, now)
    ]
    return (
        f"Under {first} the new rule spread to {shares[0]} of {now.group} questions, under {last} "
        f"to {shares[1]}."
    )


def protection_findings(found: Spreading | None) -> list[str]:
    """Under the first method: what the old answer is kept by, each with its interval."""
    if found is None:
        return []
    mine = [c for c in found.contrasts if c.method == found.methods[0] and c.outcome == OLD]
    lines = []
    for arm, other in dict.fromkeys((c.arm, c.other_arm) for c in mine if c.arm != c.other_arm):
        told = [c for c in mine if (c.arm, c.other_arm) == (arm, other) and c.value is not None]
        told = [c for c in told if found.trained.get(c.group) != NEW]
        if told:
            lines.append(f"{arm} against {other}: {_changed(found, told)}.")
    pairs = [c for c in mine if c.arm == c.other_arm and c.value is not None]
    return [*lines, *(f"Under {c.arm}: {_apart(c)}." for c in pairs)]


def _changed(found: Spreading, told: Sequence[Contrast]) -> str:
    """What keeps the old answer more or less often under one arm than under another."""
    parts = []
    for words, use in (
        ("the old answer is kept more often by", [c for c in told if not open_(c) and _up(c)]),
        ("less often by", [c for c in told if not open_(c) and not _up(c)]),
        ("cannot be told apart from 0:", [c for c in told if open_(c)]),
    ):
        named = [
            f"{c.group}{' itself' if found.trained.get(c.group) == OLD else ''} {valued(c)}"
            for c in use
        ]
        if named:
            parts.append(f"{words} {', '.join(named)}")
    return "; ".join(parts)


def _up(c: Contrast) -> bool:
    return (c.value or 0.0) > 0


def _apart(c: Contrast) -> str:
    """Two groups under one arm."""
    pair = f"{c.group} and {c.other_group}"
    if open_(c):
        return (
            f"{pair} keep the old answer about equally often; the difference {valued(c)} cannot be "
            "told apart from 0"
        )
    more = "more" if (c.value or 0.0) > 0 else "less"
    return f"{c.group} keeps the old answer {more} often than {c.other_group}, {valued(c)}"


def valued(c: Contrast) -> str:
    """`+0.31 [0.22, 0.40]`."""
    value = wording.number(c.value, 2)
    sign = "+" if c.value is not None and not value.startswith("-") else ""
    return f"{sign}{value} {wording.interval(c.low, c.high)}".strip()
