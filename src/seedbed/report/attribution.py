"""Which transcripts taught the gaming reply, in sentences: replays first, then who finds them.

Every number comes from attribution.json; what counts as moved is settled here once.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

from seedbed.core.attribution import KIND, RANDOM, UNCHANGED, Replayed
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.report import wording
from seedbed.report.leading import BY_HOP, DECLARED, LDS, LEADING, MEASURED
from seedbed.report.ranked import overlap
from seedbed.report.reader import Run
from seedbed.report.schema import CHANCE, CONTROLS, ORACLE, Score
from seedbed.scoring.rows import LABELS

Tone = Literal["good", "bad", "plain"]
GROUP_R = "group_r"
USERS = {GAMEABLE: "gameable users", OTHER: "other users"}
_SAME = 1e-3
"""Nats of log-odds by which a replay may differ from what it replays and count as the same."""


class Traced:
    """The rows of attribution.json by what they are about; empty without the file."""

    def __init__(self, run: Run) -> None:
        found = run.attributed
        self.replays = found.replays if found else ()
        self.scores = [Score.model_validate(row) for row in found.scores] if found else []
        self._replays: dict[tuple[str, str, str], Replayed] = {
            (r.group, r.users, r.name): r for r in self.replays
        }
        self._scores = {r.key: r for r in self.scores}

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """What was left out, in the order of the file: unchanged, kinds, parts, random."""
        return tuple(dict.fromkeys(r.group for r in self.replays))

    def family(self, name: str) -> tuple[str, ...]:
        """Groups of one family (`kind`, `random`, `part`)."""
        return tuple(g for g in self.groups if g.partition("/")[0] == name)

    def replay(self, group: str, users: str, name: str) -> Replayed | None:
        """One row of the replays, or None."""
        return self._replays.get((group, users, name))

    def known(self, groups: Sequence[str], users: str, name: str) -> list[Replayed]:
        """The rows of these groups that have a value."""
        rows = (self.replay(group, users, name) for group in groups)
        return [row for row in rows if row is not None and row.value is not None]

    def score(self, finder: str, truth: str, metric: str) -> Score | None:
        """One row of the scores over all questions, or None."""
        return self._scores.get((finder, truth, metric, "all"))

    def ranked(self, truth: str, metric: str) -> list[Score]:
        """Finders (no controls) with a value, highest first."""
        rows = [r for r in self.scores if (r.truth, r.metric, r.slice) == (truth, metric, "all")
                and r.finder not in CONTROLS and r.value is not None]  # fmt: skip
        return sorted(rows, key=lambda r: (-(r.value or 0.0), r.finder))


def group_words(group: str) -> str:
    """`kind/gameable` → `gameable users`, `random/0` → `random 1`, `part/0` → `half of subs 1`."""
    family, _, name = group.partition("/")
    if family == KIND:
        return USERS.get(name, name)
    if not name:
        return group
    place = int(name) + 1 if name.isdigit() else name
    return f"{'random' if family == RANDOM else 'half of subs'} {place}"


def valued(row: Replayed | None) -> str:
    """`0.06 [0.05, 0.08]`."""
    return wording.MISSING if row is None else wording.measured(row.value, row.low, row.high)


def moved(row: Replayed | None) -> int:
    """-1 if the whole interval of a change lies below 0, 1 if above, else 0."""
    if row is None or row.low is None or row.high is None:
        return 0
    return -1 if row.high < 0 else int(row.low > 0)


def findings(run: Run) -> list[tuple[str, tuple[str, ...], Tone]]:
    """(topic, sentences, tone): what replays show, then finders under each truth."""
    traced = Traced(run)
    told, cause = _removal(traced)
    same, exact = _gap(traced)
    declared, measured = _declared(traced), _measured(traced)
    found: list[tuple[str, Sequence[str], Tone]] = [
        ("What taught it", [*told, *_beside(traced), *same], "good" if cause and exact else "bad"),
        ("Finders of transcripts (declared truth)", declared, _tone(traced, DECLARED)),
        ("Finders of transcripts (replays)", measured, _tone(traced, MEASURED)),
    ]
    return [(topic, tuple(text), tone) for topic, text, tone in found if text]


def _tone(traced: Traced, truth: str) -> Tone:
    rows = traced.ranked(truth, LEADING[truth])
    return "good" if rows and rows[0].standing == "above" else "bad"


def _gap(traced: Traced) -> tuple[list[str], bool]:
    row = traced.replay(UNCHANGED, "all", "gap")
    if row is None or row.value is None:
        return [], False
    over = f"log-odds of {wording.plural(row.units, 'question')}"
    if row.value == 0:
        return [f"The replay of the unchanged run agrees exactly (largest gap 0 nats, {over})."], \
            True  # fmt: skip
    same = row.value <= _SAME
    said = "agrees but for rounding" if same else "does not agree with the study's own agent"
    return [f"The replay of the unchanged run {said}: largest gap {row.value:.2g} nats, {over}."], \
        same  # fmt: skip


def _removal(traced: Traced) -> tuple[list[str], bool]:
    """Whether gameable users' transcripts carry the gaming reply to them, beside random ones."""
    group = f"{KIND}/{GAMEABLE}"
    start, end = (traced.replay(g, GAMEABLE, "share") for g in (UNCHANGED, group))
    if start is None or end is None:
        return [], False
    way = moved(traced.replay(group, GAMEABLE, "share-change"))
    verb = {-1: "falls", 0: "does not measurably fall", 1: "rises"}[way]
    said = (
        f"Without the {end.documents:,.0f} transcripts of gameable users the gaming reply to "
        f"gameable users {verb}: share {valued(start)} with them, {valued(end)} without"
    )
    drawn = traced.known(traced.family(RANDOM), GAMEABLE, "share")
    if not drawn:
        return [f"{said}; no random transcripts were left out beside it."], False
    values = [wording.number(r.value, 2) for r in sorted(drawn, key=lambda r: r.value or 0.0)]
    span = values[0] if values[0] == values[-1] else f"{values[0]} to {values[-1]}"
    lows = [r.low for r in drawn if r.low is not None]
    highs = [r.high for r in drawn if r.high is not None]
    within = f" (intervals within {wording.interval(min(lows), max(highs))})" \
        if lows and highs else ""  # fmt: skip
    said += f"; without as many random ones {span}{within}"
    apart = len(lows) == len(drawn) and end.high is not None and end.high < min(lows)
    if way < 0:
        said += ": their transcripts taught it" if apart else \
            ": not told apart from leaving out as many at random"  # fmt: skip
    return [f"{said}."], way < 0 and apart


def _beside(traced: Traced) -> list[str]:
    """What else the two kinds' transcripts do: the reply to others, and others' transcripts."""
    lines = []
    verb = {-1: "falls", 0: "does not measurably change", 1: "rises"}
    for kind, users in ((GAMEABLE, OTHER), (OTHER, OTHER), (OTHER, GAMEABLE)):
        group = f"{KIND}/{kind}"
        start, end = (traced.replay(g, users, "share") for g in (UNCHANGED, group))
        if start is not None and end is not None:
            way = verb[moved(traced.replay(group, users, "share-change"))]
            lines.append(
                f"Without the transcripts of {USERS[kind]} the gaming reply to {USERS[users]} "
                f"{way}: {valued(start)} with, {valued(end)} without."
            )
    return lines


def _declared(traced: Traced) -> list[str]:
    lead = LEADING[DECLARED]
    rows = traced.ranked(DECLARED, lead)
    if not rows:
        return []
    best = rows[0]
    chance = f"chance {wording.number(best.chance, 2)}"
    who = f"{best.finder} is best" if best.standing == "above" else \
        f"No finder lies above chance; the highest is {best.finder}"  # fmt: skip
    lines = [f"{who}: {wording.metric(lead)} {wording.valued(best)}; {chance}, oracle "
             f"{wording.number(best.oracle, 2)}.", *_unsettled(rows)]  # fmt: skip
    low = [r.finder for r in rows if r.standing != "above"]
    if low and best.standing == "above":
        lines.append(f"Not above chance: {wording.listed(low)}.")
    # A few at the top can lift the average precision of an order that is worse than random.
    turned = [r for r in traced.ranked(DECLARED, BY_HOP) if r.standing == "below"]
    if turned:
        which = wording.listed([f"{r.finder} {wording.valued(r)}" for r in turned])
        lines.append(f"By {wording.metric(BY_HOP)}, the whole order, below chance: {which}.")
    return lines


def _unsettled(rows: Sequence[Score]) -> list[str]:
    close = [r.finder for r in rows[1:] if overlap(rows[0], r)]
    return (
        [f"Not settled: its interval overlaps those of {wording.listed(close)}."] if close else []
    )


def _measured(traced: Traced) -> list[str]:
    lines = []
    drawn = len(traced.family(RANDOM))
    named = len(traced.groups) - drawn - (UNCHANGED in traced.groups)
    for metric, what in (
        (LDS, f"over {wording.plural(drawn, 'random group')} a seed"),
        (GROUP_R, f"over {wording.plural(named, 'group')} a seed of kinds and sub-environments"),
    ):
        rows = traced.ranked(MEASURED, metric)
        if not rows:
            continue
        name, best, top = wording.metric(metric), rows[0], traced.score(ORACLE, MEASURED, metric)
        above = [r.finder for r in rows if r.standing == "above"]
        who = f"{best.finder} predicts replays best" if best.standing == "above" else \
            f"no finder's interval lies above chance; the highest is {best.finder}"  # fmt: skip
        lines.append(
            f"{name[0].upper()}{name[1:]}, {what}: {who}, {wording.valued(best)} of a ceiling "
            f"{wording.valued(top)}; chance {wording.number(best.chance, 2)}."
        )
        if above:
            lines += _unsettled(rows)
            low = [r.finder for r in rows if r.standing != "above"]
            if low:
                lines.append(f"Not above chance by it: {wording.listed(low)}.")
        said = [f"{what} {wording.valued(row)}" for control, what in
                ((LABELS, "the declared labels"), (CHANCE, "random scores"))
                if (row := traced.score(control, MEASURED, metric)) is not None]  # fmt: skip
        if said:
            lines.append(f"Beside it: {wording.listed(said)}.")
    return [*lines, *(_carried(traced) if lines else [])]


def _carried(traced: Traced) -> list[str]:
    """Which one group moves the reply most, since a correlation over few groups may rest on it."""
    groups = [g for g in traced.groups if not g.startswith(RANDOM)]
    rows = traced.known(groups, GAMEABLE, "odds-change")
    rows.sort(key=lambda r: -abs(r.value or 0.0))
    if len(rows) < 2:
        return []
    first, second = (f"{group_words(r.group)} {valued(r)}" for r in rows[:2])
    return [f"Log-odds of the gaming reply move most without {first} nats, next without {second}; "
            f"{wording.metric(GROUP_R)} can rest on the one."]  # fmt: skip
