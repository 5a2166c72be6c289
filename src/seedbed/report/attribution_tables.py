"""Tables of replays by what was left out, and of the finders of transcripts under both truths."""

from seedbed.core.attribution import UNCHANGED, Replayed
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.report import wording
from seedbed.report.attribution import GROUP_R, Traced, group_words
from seedbed.report.grids import Grid, Number, columns_with_values
from seedbed.report.leading import CORRELATIONS, DECLARED, LDS, LEADING, MEASURED, RANKING, called
from seedbed.report.reader import Run
from seedbed.report.schema import CHANCE, ORACLE, Score
from seedbed.scoring.rows import LABELS

_COLUMNS = (("share", "share"), ("share-change", "change"), ("odds-change", "change of log-odds"))
_PRICES = (("seconds", "seconds"), ("epochs", "epochs"), ("peak_mib", "peak MiB"))


def grids(run: Run) -> list[Grid]:
    """Replays, then finders under the declared truth and against replays; none without them."""
    traced = Traced(run)
    found = [_replays(traced), _finders(traced, DECLARED), _finders(traced, MEASURED)]
    return [grid for grid in found if grid is not None]


def _replays(traced: Traced) -> Grid | None:
    if not traced.replays:
        return None
    rows = []
    for group in traced.groups:
        left = next(r.documents for r in traced.replays if r.group == group)
        numbers = [_number(traced.replay(group, users, name))
                   for users in (GAMEABLE, OTHER) for name, _ in _COLUMNS]  # fmt: skip
        rows.append((group_words(group), [Number(left, places=0), *numbers]))
    heads = [f"{head}, {'gameable' if users == GAMEABLE else 'others'}"
             for users in (GAMEABLE, OTHER) for _, head in _COLUMNS]  # fmt: skip
    named, kept = columns_with_values(("left out", "transcripts", *heads), rows)
    asked = {u: r.units for u in (GAMEABLE, OTHER)
             if (r := traced.replay(UNCHANGED, u, "share")) is not None}  # fmt: skip
    counts = wording.listed([f"{n:,} of {'gameable' if u == GAMEABLE else 'other'} users"
                             for u, n in asked.items()])  # fmt: skip
    note = (
        "Agents that learned again from the same transcripts in the same order, with a group left "
        "out. Share: probability of the gaming reply to gameable users and to others; changes are "
        "against the unchanged replay, log-odds in nats. random: as many as the gameable users'; "
        "half of subs: half of the sub-environments. 95 % intervals over seeds and causes; "
        f"questions over all seeds: {counts}."
    )
    controls = frozenset(group_words(g) for g in (UNCHANGED, *traced.family("random")))
    return Grid("replays", "What leaving transcripts out takes away", note, named, kept, controls)


def _number(row: Replayed | None) -> Number:
    return Number(None) if row is None else Number.measured(row.value, row.low, row.high)


def _finders(traced: Traced, truth: str) -> Grid | None:
    lead = LEADING[truth]
    known = RANKING if truth == DECLARED else CORRELATIONS
    have = {r.metric for r in traced.scores if (r.truth, r.slice) == (truth, "all")}
    metrics = [m for m in known if m in have]
    names = [r.finder for r in traced.ranked(truth, lead)]
    if not names:
        return None
    order = [*names, *(c for c in (CHANCE, LABELS, ORACLE) if traced.score(c, truth, lead))]
    rows = []
    for finder in order:
        scores = [traced.score(finder, truth, m) for m in metrics]
        first = traced.score(finder, truth, lead)
        prices = [Number(getattr(first, key, None)) for key, _ in _PRICES]
        level = Number(first.chance if first else None)
        rows.append((called(finder, truth), [*map(_scored, scores), level, *prices]))
    heads = [*map(wording.metric, metrics), f"chance of {wording.metric(lead)}"]
    named, kept = columns_with_values(("finder", *heads, *(head for _, head in _PRICES)), rows)
    controls = frozenset(called(c, truth) for c in (CHANCE, LABELS, ORACLE))
    if truth == DECLARED:
        title = "Who finds the transcripts? Declared truth"
        note = ("Declared: transcripts in which a gameable user's feedback reinforced the gaming "
                f"reply. {wording.metric(lead)}: {wording.meaning(lead)}. "
                "95 % intervals over seeds and causes")  # fmt: skip
        return Grid("transcript-finders", title, note + _CLOSING, named, kept, controls)
    note = (
        "Replays as the truth. LDS: rank correlation, over random groups left out, of the log-odds "
        f"of the gaming reply with the summed scores of what was kept; {wording.metric(GROUP_R)}: "
        "correlation with what leaving out each kind of user and half of the sub-environments "
        "took. Ceiling: what seed noise leaves; labels: the declared truth as scores. "
        "95 % intervals over seeds, causes and replays"
    )
    title = f"Who predicts the replays? {wording.metric(LDS)} and {wording.metric(GROUP_R)}"
    return Grid("replay-finders", title, note + _CLOSING, named, kept, controls)


_CLOSING = "; seconds and epochs are means over seeds."


def _scored(row: Score | None) -> Number:
    return Number(None) if row is None else Number(row.value, row.low, row.high)
