"""What a second stage spread to, in tables: shares, methods, what proxies protect, who fitted.

Every number comes from spread.json.
"""

from collections.abc import Callable, Sequence

from seedbed.core.spread import NEITHER, NEW, OLD, Contrast, Fit, Outcome, Share, Spreading
from seedbed.report import wording
from seedbed.report.grids import Grid, Number

OUTCOMES: tuple[Outcome, ...] = (NEW, OLD, NEITHER)
EVERY = "all subjects, whether or not they learned what they were taught"
NOT_FITTED = "not fitted"


def grids(found: Spreading | None) -> list[Grid]:
    """Methods side by side, shares by method, what proxies protect, and who fitted."""
    if found is None:
        return []
    tables = [*_trade_off(found), *(_shares(found, m) for m in found.methods), *_protection(found)]
    return [*tables, *([_fits(found)] if found.fits else [])]


def unasked(found: Spreading | None) -> bool:
    """Whether no share was asked for, so that every subject counts, learned or not."""
    return found is not None and bool(found.fits) and all(f.needed == 0 for f in found.fits)


def _shares(found: Spreading, method: str) -> Grid:
    rows: list[tuple[str, tuple[Number, ...]]] = []
    about = {}
    for group in found.groups:
        for outcome in OUTCOMES:
            told = {r.arm: r for r in found.shares
                    if (r.method, r.group, r.outcome) == (method, group, outcome)}  # fmt: skip
            if not told:
                continue
            name = f"{group}: {outcome}"
            if outcome == NEW:
                about[name] = group_words(found, group)
            before = next((r.before for r in told.values() if r.before is not None), None)
            rows.append((name, (Number(before), *(share(found, told.get(a)) for a in found.arms))))
    seconds = found.seconds.get(method)
    took = f" Training took {wording.seconds(seconds)} each." if seconds is not None else ""
    over = f"no share was asked for: means are over {EVERY};" if unasked(found) else (
        "means over the seeds that fitted,"
    )  # fmt: skip
    note = (
        "Shares of questions answered by the new rule, the old one or neither; "
        f"{over} 95 % intervals over seeds and words. Before: the same questions before the second "
        f"stage (under the first arm that has them).{took}"
    )
    title = f"What the second stage spread to, method {method}"
    heads = ("group: answered by", "before", *found.arms)
    return Grid(f"spread-{method}", title, note, heads, tuple(rows), about=about)


def share(found: Spreading, row: Share | None) -> Number:
    """A share as a number; it says how many seeds fitted where not all did.

    A group that an arm does not have has no row, and so no mark.
    """
    if row is None:
        return Number(None)
    if row.value is None:
        return Number(None, mark=NOT_FITTED)
    every = len({f.seed for f in found.fits})
    few = f"({wording.plural(row.seeds, 'seed')})" if row.seeds < every else ""
    return Number.measured(row.value, row.low, row.high, few)


def group_words(found: Spreading, group: str) -> str:
    """What a group is, and what it was taught."""
    taught = f"taught the {found.trained[group]} rule" if group in found.trained else ""
    return "; ".join(part for part in (found.about.get(group, ""), taught) if part)


def _trade_off(found: Spreading) -> list[Grid]:
    """Rows = methods under each arm, columns = the groups' share of the new rule."""
    if len(found.methods) < 2:
        return []
    rows = []
    for arm in found.arms:
        for method in found.methods:
            told = {r.group: r for r in found.shares
                    if (r.arm, r.method, r.outcome) == (arm, method, NEW)}  # fmt: skip
            if told:
                name = method if len(found.arms) == 1 else f"{arm}: {method}"
                cells = (share(found, told.get(g)) for g in found.groups)
                rows.append((name, (*cells, Number(found.seconds.get(method), places=1))))
    heads = [f"{g} (taught {found.trained[g]})" if g in found.trained else g for g in found.groups]
    note = (
        "Share of the new rule in each group. A method that holds the new rule back where it is "
        "not wanted may hold it back where it is: read each row across. Seconds: training."
    )
    side_by_side = Grid("trade-off", "Methods side by side: share of the new rule", note,
                        ("method", *heads, "seconds"), tuple(rows))  # fmt: skip
    told_apart = between_methods(found)
    if not told_apart:
        return [side_by_side]
    title = f"What methods change against {told_apart[0].other_method}: share of the new rule"
    note = (
        "Difference of the share of new answers between two methods, on the same questions of the "
        f"same seeds{_counting(found)}"
    )

    def row_of(c: Contrast) -> str:
        return c.method if len(found.arms) == 1 else f"{c.arm}: {c.method}"

    return [side_by_side, _differences(found, told_apart, "methods", title, note, "method", row_of)]


def between_methods(found: Spreading) -> list[Contrast]:
    """What each method changes in the share of the new rule against the first, arm by arm."""
    return [c for c in found.contrasts if c.method != c.other_method and c.outcome == NEW]


def between_arms(found: Spreading) -> list[Contrast]:
    """What each arm changes in the share of old answers, method by method."""
    return [c for c in found.contrasts if c.arm != c.other_arm and c.outcome == OLD]


def _protection(found: Spreading) -> list[Grid]:
    """What an arm changes in the share of old answers, against the arm that it is compared with."""
    told = between_arms(found)
    if not told:
        return []
    note = (
        "Difference of the share of old answers between two arms, on the same questions of the "
        f"same seeds{_counting(found)}"
    )
    title = "What proxies protect: change in old answers"

    def row_of(c: Contrast) -> str:
        return f"{c.method}: {c.arm} − {c.other_arm}"

    return [_differences(found, told, "protection", title, note, "method: arms", row_of)]


def _counting(found: Spreading) -> str:
    return f" ({EVERY})" if unasked(found) else ", those that fitted under both"


def _differences(
    found: Spreading, told: Sequence[Contrast], name: str, title: str, note: str, head: str,
    row_of: Callable[[Contrast], str],
) -> Grid:  # fmt: skip
    """Rows as `row_of` names them, a column a group."""
    groups = [g for g in found.groups if any(c.group == g for c in told)]
    rows = []
    for row in dict.fromkeys(row_of(c) for c in told):
        mine = {c.group: c for c in told if row_of(c) == row}
        rows.append((row, tuple(_difference(mine.get(g)) for g in groups)))
    note += "; 95 % intervals over seeds and words. ≈: cannot be told apart from 0."
    return Grid(name, title, note, (head, *groups), tuple(rows))


def _difference(row: Contrast | None) -> Number:
    if row is None:
        return Number(None)
    if row.value is None:
        return Number(None, mark=NOT_FITTED)
    return Number.measured(row.value, row.low, row.high, "≈" if open_(row) else "")


def _fits(found: Spreading) -> Grid:
    """Seeds that fitted and the lowest one; the lowest and highest where none had to fit."""
    groups = list(dict.fromkeys(f.group for f in found.fits))
    needed = {g: max(f.needed for f in found.fits if f.group == g) for g in groups}
    rows = []
    for method in found.methods:
        for arm in found.arms:
            cells: list[Number] = []
            for group in groups:
                mine = [f for f in found.fits
                        if (f.method, f.arm, f.group) == (method, arm, group)]  # fmt: skip
                lowest = _fit(min(mine, key=lambda f: f.low, default=None))
                highest = _fit(max(mine, key=lambda f: f.low, default=None))
                cells += [_passed(mine), lowest] if needed[group] else [lowest, highest]
            rows.append((f"{method}: {arm}", tuple(cells)))
    heads = [f"{g}: {head}" for g in groups
             for head in (("seeds fitted", "lowest seed") if needed[g]
                          else ("lowest seed", "highest seed"))]  # fmt: skip
    bars = [f"{wording.number(needed[g], 2)} of {g} by the {found.trained.get(g, NEW)} rule"
            for g in groups if needed[g]]  # fmt: skip
    free = [f"{g} by the {found.trained.get(g, NEW)} rule" for g in groups if not needed[g]]
    if not bars:
        note = (
            f"How often each trained group says what it was taught ({wording.listed(free)}), with "
            f"95 % intervals (Wilson). No share was asked for: shares are over {EVERY}."
        )
        return Grid("fits", "How far the second stage was learned", note,
                    ("method: arm", *heads), tuple(rows))  # fmt: skip
    more = f" No share was asked for of {wording.listed(free)}." if free else ""
    note = (
        "A subject counts only if it learned what the second stage taught: the lower end of the "
        f"95 % interval (Wilson) must reach {wording.listed(bars)}.{more}"
    )
    return Grid("fits", "Was the second stage learned?", note, ("method: arm", *heads), tuple(rows))


def _fit(row: Fit | None) -> Number:
    return Number(None) if row is None else Number(row.value, row.low, row.high)


def _passed(rows: Sequence[Fit]) -> Number:
    if not rows:
        return Number(None)
    return Number(float(sum(f.fitted for f in rows)), places=0, mark=f"of {len(rows)}")


def open_(c: Contrast) -> bool:
    """Whether the interval of a difference holds 0, or there is none."""
    if c.low is None or c.high is None or not wording.bounded(c.value or 0.0, c.low, c.high):
        return True
    return c.low <= 0 <= c.high
