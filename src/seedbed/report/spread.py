"""What a second stage spread to, in tables: shares, methods, what proxies protect, who fitted.

Every number comes from spread.json.
"""

from seedbed.core.spread import NEITHER, NEW, OLD, Contrast, Outcome, Share, Spreading
from seedbed.report import wording
from seedbed.report.grids import Grid, Number

OUTCOMES: tuple[Outcome, ...] = (NEW, OLD, NEITHER)


def grids(found: Spreading | None) -> list[Grid]:
    """Shares by method, methods side by side, what proxies protect, and who fitted."""
    if found is None:
        return []
    tables = [*(_shares(found, m) for m in found.methods), *_trade_off(found), *_protection(found)]
    return [*tables, *([_fits(found)] if found.fits else [])]


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
    note = (
        "Shares of questions answered by the new rule, the old one or neither; means over the "
        "seeds that fitted, 95 % intervals over seeds and words. Before: the same questions before "
        f"the second stage (under the first arm that has them).{took}"
    )
    title = f"What the second stage spread to, method {method}"
    heads = ("group: answered by", "before", *found.arms)
    return Grid(f"spread-{method}", title, note, heads, tuple(rows), about=about)


def share(found: Spreading, row: Share | None) -> Number:
    """A share as a number; it says how many seeds fitted where not all did."""
    if row is None:
        return Number(None)
    every = len({f.seed for f in found.fits})
    few = f"({wording.plural(row.seeds, 'seed')})" if row.value is not None else "not fitted"
    return Number(row.value, row.low, row.high, mark=few if row.seeds < every else "")


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
    return [Grid("trade-off", "Methods side by side: share of the new rule", note,
                 ("method", *heads, "seconds"), tuple(rows))]  # fmt: skip


def _protection(found: Spreading) -> list[Grid]:
    """What an arm changes in the share of old answers, against the arm that it is compared with."""
    told = [c for c in found.contrasts if c.outcome == OLD and c.group == c.other_group]
    if not told:
        return []
    groups = [g for g in found.groups if any(c.group == g for c in told)]
    rows = []
    for method, arm, other in dict.fromkeys((c.method, c.arm, c.other_arm) for c in told):
        by_group = {
            c.group: c for c in told if (c.method, c.arm, c.other_arm) == (method, arm, other)
        }
        cells = []
        for group in groups:
            row = by_group.get(group)
            mark = "≈" if row is not None and open_(row) else ""
            cells.append(Number(row.value, row.low, row.high, mark=mark) if row else Number(None))
        rows.append((f"{method}: {arm} − {other}", tuple(cells)))
    note = (
        "Difference of the share of old answers between two arms, on the same questions of the "
        "same seeds; 95 % intervals over seeds and words. ≈: cannot be told apart from 0."
    )
    return [Grid("protection", "What proxies protect: change in old answers", note,
                 ("method: arms", *groups), tuple(rows))]  # fmt: skip


def _fits(found: Spreading) -> Grid:
    groups = list(dict.fromkeys(f.group for f in found.fits))
    rows = []
    for method in found.methods:
        for arm in found.arms:
            cells: list[Number] = []
            for group in groups:
                mine = [f for f in found.fits
                        if (f.method, f.arm, f.group) == (method, arm, group)]  # fmt: skip
                worst = min(mine, key=lambda f: f.low, default=None)
                count = float(sum(f.fitted for f in mine)) if mine else None
                of = f"of {len(mine)}" if mine else ""
                cells.append(Number(count, places=0, mark=of))
                cells.append(Number(worst.value, worst.low, worst.high) if worst else Number(None))
            rows.append((f"{method}: {arm}", tuple(cells)))
    heads = [h for g in groups for h in (f"{g}: seeds fitted", f"{g}: lowest seed")]
    needed = wording.listed(
        [f"{wording.number(max(f.needed for f in found.fits if f.group == g), 2)} of {g} "
         f"by the {found.trained.get(g, NEW)} rule" for g in groups]
    )  # fmt: skip
    note = (
        "A subject counts only if it learned what the second stage taught: the lower end of the "
        f"95 % interval (Wilson) must reach {needed}."
    )
    return Grid("fits", "Was the second stage learned?", note, ("method: arm", *heads), tuple(rows))


def open_(c: Contrast) -> bool:
    """Whether the interval of a difference holds 0, or there is none."""
    return c.low is None or c.high is None or c.low <= 0 <= c.high
