"""Finders of other kinds of site than the world's own: their tables, and the verdict on each kind.

Every number comes from crossed.json; controls stand beside the methods, in the tables and in words.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from seedbed.core.crossed import Crossed
from seedbed.core.sites import SiteKind
from seedbed.report import wording
from seedbed.report.grids import Grid, Number, columns_with_values
from seedbed.report.leading import BY_HOP, DECLARED, LEADING, MEASURED, RANKING
from seedbed.report.ranked import overlap
from seedbed.report.reader import Run
from seedbed.report.schema import CHANCE, CONTROLS, ORACLE, Score
from seedbed.scoring.crossed import PEARSON, RECALL

Tone = Literal["good", "bad", "plain"]
NOUNS = {SiteKind.INPUT: "parts of the input"}
TRIVIAL = ("random", "shuffled", "shuffled-probe", "surface", "words", "familiarity", "part-length")
"""Rows that hold no method: random or shuffled directions, what the prompt alone gives away."""
LEAST = 0.1
FEWEST = 6
"""Causes below which a bootstrap over causes says little: of three draws all may be the same."""
_PRICES = (("seconds", "seconds"), ("epochs", "epochs"), ("peak_mib", "peak MiB"))


def noun(kind: SiteKind) -> str:
    """Several sites of a kind, as a reader would say."""
    return NOUNS.get(kind, f"{kind}s")


@dataclass(frozen=True)
class Across:
    """One kind of site of crossed.json, its scores as rows."""

    row: Crossed

    @cached_property
    def scores(self) -> list[Score]:
        """Every scored row over all questions."""
        rows = [Score.model_validate(row) for row in self.row.scores]
        return [row for row in rows if row.slice == "all"]

    def lead(self, truth: str) -> str:
        """The metric that leads: of two kinds, whether the right one is named."""
        if truth == MEASURED:
            return PEARSON
        return BY_HOP if self.row.sites is SiteKind.DIRECTION else LEADING[DECLARED]

    def metrics(self, truth: str) -> list[str]:
        """The columns of a table, those first that lead."""
        if truth == MEASURED:
            known: tuple[str, ...] = (PEARSON, RECALL)
        elif self.row.sites is SiteKind.DIRECTION:
            known = (BY_HOP,)
        else:
            known = RANKING
        have = {row.metric for row in self.scores if row.truth == truth and _tells(row)}
        return [metric for metric in known if metric in have]

    def score(self, finder: str, truth: str, metric: str) -> Score | None:
        """One row, or None."""
        wanted = (finder, truth, metric)
        return next((r for r in self.scores if (r.finder, r.truth, r.metric) == wanted), None)

    def ranked(self, truth: str) -> list[Score]:
        """Finders and trivial controls by what leads, highest first."""
        rows = [r for r in self.scores if (r.truth, r.metric) == (truth, self.lead(truth))
                and r.finder not in CONTROLS and r.value is not None]  # fmt: skip
        return sorted(rows, key=lambda r: (-(r.value or 0.0), r.finder))


def _tells(row: Score) -> bool:
    """Whether the truth itself is clearly above chance: of ten sites the top ten hold them all."""
    return row.oracle is None or row.chance is None or row.oracle - row.chance > LEAST


def crossed(run: Run) -> list[Across]:
    """The kinds of site of crossed.json, in its order; none without the file."""
    return [Across(row) for row in run.crossed]


def grids(run: Run) -> list[Grid]:
    """A table for each kind and truth that has scores."""
    found = [_grid(one, truth) for one in crossed(run) for truth in (DECLARED, MEASURED)]
    return [grid for grid in found if grid is not None]


def _grid(one: Across, truth: str) -> Grid | None:
    lead, metrics = one.lead(truth), one.metrics(truth)
    names = [row.finder for row in one.ranked(truth)]
    if not names:
        return None
    rows = []
    for finder in (*names, *(c for c in (CHANCE, ORACLE) if one.score(c, truth, lead))):
        found = [one.score(finder, truth, metric) for metric in metrics]
        first = one.score(finder, truth, lead)
        prices = [Number(getattr(first, key, None)) for key, _ in _PRICES]
        level = Number(first.chance if first else None)
        rows.append((finder, [*map(_scored, found), level, *prices]))
    heads = [*map(wording.metric, metrics), f"chance of {wording.metric(lead)}"]
    named, kept = columns_with_values(("finder", *heads, *(head for _, head in _PRICES)), rows)
    controls = frozenset({CHANCE, ORACLE, *TRIVIAL} & {name for name, _ in kept})
    sites, asked = noun(one.row.sites), wording.plural(one.row.asked, "question")
    causes = f" from {wording.plural(one.row.causes, 'cause')}" if one.row.causes else ""
    closing = (
        f" {asked}{causes} over all seeds; 95 % intervals over seeds and causes, costs are means."
    )
    if truth == MEASURED:
        title = "Who predicts exact patching? Measured truth about cells"
        told = (
            f"{wording.metric(PEARSON)}: {wording.meaning(PEARSON)}; "
            f"{wording.metric(RECALL)}: {wording.meaning(RECALL)}."
        )
    else:
        title = f"Who finds the {sites}? Declared truth"
        told = f"Declared: {one.row.meaning}. {wording.metric(lead)}: {wording.meaning(lead)}."
    return Grid(f"crossed-{one.row.sites}-{truth}", title, told + closing, named, kept, controls)


def _scored(row: Score | None) -> Number:
    return Number(None) if row is None else Number(row.value, row.low, row.high)


def findings(run: Run) -> list[tuple[str, tuple[str, ...], Tone]]:
    """(topic, sentences, tone) of each kind and truth."""
    found: list[tuple[str, tuple[str, ...], Tone]] = []
    for one in crossed(run):
        topic = f"Finders of {noun(one.row.sites)}"
        if one.row.reason:
            found.append((topic, (f"None was marked: {one.row.reason}.",), "plain"))
        for truth in (DECLARED, MEASURED):
            if text := _sentences(one, truth):
                best = _methods(one, truth)[0]
                tone: Tone = "good" if best.standing == "above" else "bad"
                if tone == "good" and (_few(one) or any(_rivals(one, truth, best))):
                    tone = "plain"
                found.append((f"{topic} ({truth} truth)", tuple(text), tone))
    return found


def _methods(one: Across, truth: str) -> list[Score]:
    ranked = one.ranked(truth)
    return [row for row in ranked if row.finder not in TRIVIAL] or ranked


def _sentences(one: Across, truth: str) -> list[str]:
    if not one.ranked(truth):
        return []
    methods = _methods(one, truth)
    best, rest = methods[0], methods[1:]
    name = wording.metric(best.metric)
    against = f"against {wording.number(best.chance, 2)} by chance"
    if truth == DECLARED:
        against += f" and {wording.number(best.oracle, 2)} for the truth itself"
    did = "predicts exact patching best" if truth == MEASURED else "finds them best"
    level = [row.finder for row in methods if row.value == best.value]
    if best.standing != "above":
        text = [f"None is distinguishable from chance; the highest is {best.finder}, {name} "
                f"{wording.valued(best)} {against}."]  # fmt: skip
    elif len(level) > 1:
        do = "predict exact patching" if truth == MEASURED else "find them"
        text = [f"{wording.listed(level)} {do} equally well: {name} {wording.valued(best)} "
                f"{against}."]  # fmt: skip
    else:
        text = [f"{best.finder} {did}: {name} {wording.valued(best)} {against}."]
    if best.standing == "above" and (low := [r for r in rest if r.standing != "above"]):
        text.append(f"Not above chance: {wording.listed([r.finder for r in low])}.")
    if _few(one):
        text.append(f"This rests on {wording.plural(one.row.causes, 'cause')} over all seeds, too "
                    "few for an interval to be trusted.")  # fmt: skip
    return [*text, *_controls(one, truth, best)]


def _few(one: Across) -> bool:
    return 0 < one.row.causes < FEWEST


def _rivals(one: Across, truth: str, best: Score) -> tuple[list[str], list[str]]:
    """(controls that do as well as the best method, further ones whose intervals reach its own)."""
    level: list[str] = []
    near: list[str] = []
    for row in one.ranked(truth):
        if row.finder not in TRIVIAL or row.finder == best.finder:
            continue
        if (row.value or 0) >= (best.low or 0):
            level.append(row.finder)
        elif overlap(row, best):
            near.append(row.finder)
    return level, near


def _controls(one: Across, truth: str, best: Score) -> list[str]:
    """What rows without a method reach: where one does as well, the method has shown nothing."""
    trivial = [r for r in one.ranked(truth) if r.finder in TRIVIAL and r.finder != best.finder]
    if not trivial:
        return []
    told = wording.listed([f"{r.finder} {wording.valued(r)}" for r in trivial])
    text = [f"Controls: {told}."]
    if best.standing != "above":
        return text
    level, near = _rivals(one, truth, best)
    if level:
        do = "does" if len(level) == 1 else "do"
        text.append(f"{wording.listed(level)} {do} as well as the best, so nothing was shown.")
    elif near:
        whose = "its interval reaches" if len(near) == 1 else "their intervals reach"
        text.append(f"Not settled against {wording.listed(near)}: {whose} that of the best.")
    return text
