"""What a second stage spread to, in sentences: who fitted, how far, and what proxies protect.

Every number comes from spread.json.
"""

from collections.abc import Sequence

from seedbed.core.spread import NEITHER, NEW, OLD, Contrast, Spreading
from seedbed.report import wording
from seedbed.report.spread import EVERY, NOT_FITTED, open_, unasked

_FAILED = 8


def fit_findings(found: Spreading | None) -> list[str]:
    """How many subjects learned the second stage, and why the others do not count."""
    if found is None or not found.fits:
        return []
    cells = {(f.seed, f.arm, f.method) for f in found.fits}
    failed = [f for f in found.fits if not f.fitted]
    fitted = len(cells - {(f.seed, f.arm, f.method) for f in failed})
    if unasked(found):
        return [f"No share was asked for: shares are over {EVERY}."]
    bars = {f.group: max(r.needed for r in found.fits if r.group == f.group) for f in found.fits}
    free = [group for group, needed in bars.items() if not needed]
    what = "learned what the second stage taught"
    if free:
        asked = wording.listed([group for group in bars if group not in free])
        what = f"reached the share asked of {asked}; none was asked of {wording.listed(free)}"
    lines = [f"{fitted} of {wording.plural(len(cells), 'subject')} {what}."]
    if found.stopped:
        lines.append(f"{found.stopped[0].upper()}{found.stopped[1:]}.")
    lines += [
        f"Left out: {f.arm}, method {f.method}, seed {f.seed}: {f.group} answers by the "
        f"{f.outcome} rule {wording.measured(f.value, f.low, f.high)} on "
        f"{wording.plural(f.n, 'question')}; the lower end must reach "
        f"{wording.number(f.needed, 2)}."
        for f in failed[:_FAILED]
    ]
    if len(failed) > _FAILED:
        lines.append(f"And {len(failed) - _FAILED} more, in spread.json.")
    return lines


def findings(found: Spreading | None) -> list[str]:
    """Under the first method: how far the new rule spread, group by group and arm by arm.

    An arm of which no seed fitted is named; nothing is said where none fitted at all.
    """
    if found is None or all(r.value is None for r in found.shares):
        return []
    lines = []
    first = found.methods[0]
    for arm in found.arms:
        under = f"Share of the new rule under {_where(found, arm)}"
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
            parts.append(f"{group} {wording.measured(row.value, row.low, row.high)}{more}")
        if parts:
            lines.append(f"{under}: {'; '.join(parts)}.")
        elif any((r.arm, r.method) == (arm, first) for r in found.shares):
            lines.append(f"{under}: {NOT_FITTED} in any seed.")
    return lines


def _where(found: Spreading, arm: str) -> str:
    """The arm, and the first method where there are several to mistake it for."""
    return f"{arm}, method {found.methods[0]}" if len(found.methods) > 1 else arm


def headline(found: Spreading | None) -> str:
    """One sentence: the untrained group that the last arm changes most, under the first method.

    First and last of the arms that some seed fitted; "" without two.
    """
    if found is None:
        return ""
    mine = (r for r in found.shares if (r.method, r.outcome) == (found.methods[0], NEW))
    rows = {(r.arm, r.group): r for r in mine if r.value is not None}
    arms = [a for a in found.arms if any(arm == a for arm, _ in rows)]
    if len(arms) < 2:
        return ""
    first, last = arms[0], arms[-1]
    both = [(rows[first, g], rows[last, g]) for g in found.groups
            if g not in found.trained and (first, g) in rows and (last, g) in rows]  # fmt: skip
    if not both:
        return ""
    then, now = max(both, key=lambda pair: abs((pair[0].value or 0.0) - (pair[1].value or 0.0)))
    shares = [wording.measured(r.value, r.low, r.high) for r in (then, now)]
    several = len(found.methods) > 1
    return (
        f"Under {_where(found, first)}{',' if several else ''} the new rule spread to {shares[0]} "
        f"of {now.group} questions, under {last} to {shares[1]}."
    )


def protection_findings(found: Spreading | None) -> list[str]:
    """Under the first method: what the old answer is kept by, each with its interval."""
    if found is None:
        return []
    first = found.methods[0]
    mine = [c for c in found.contrasts
            if c.method == c.other_method == first and c.outcome == OLD]  # fmt: skip
    method = f", method {first}" if len(found.methods) > 1 else ""
    lines = []
    for arm, other in dict.fromkeys((c.arm, c.other_arm) for c in mine if c.arm != c.other_arm):
        told = [c for c in mine if (c.arm, c.other_arm) == (arm, other) and c.value is not None]
        told = [c for c in told if found.trained.get(c.group) != NEW]
        if told:
            lines.append(f"{arm} against {other}{method}: {_changed(found, told)}.")
        elif any((c.arm, c.other_arm) == (arm, other) for c in mine):
            lines.append(f"{arm} against {other}{method}: no seed fitted under both.")
    pairs = [c for c in mine if c.group != c.other_group and c.value is not None]
    return [*lines, *(f"Under {c.arm}{method}: {_apart(c)}." for c in pairs)]


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
            f"{pair} cannot be told apart in how often they keep the old answer, difference "
            f"{valued(c)}"
        )
    more = "more" if (c.value or 0.0) > 0 else "less"
    return f"{c.group} keeps the old answer {more} often than {c.other_group}, {valued(c)}"


def valued(c: Contrast) -> str:
    """`+0.31 [0.22, 0.40]`."""
    value = wording.measured(c.value, c.low, c.high)
    sign = "+" if c.value is not None and not value.startswith("-") else ""
    return f"{sign}{value}"
