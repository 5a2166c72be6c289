"""What feedback taught, in tables: every arm's last round, course, vetoes, lengths, failures.

Every number comes from incentives.json.
"""

from collections.abc import Sequence

from seedbed.core.incentives import ALL, EXACT, GAMEABLE, OTHER, PLAYED, IncentiveRow, Section
from seedbed.report import wording
from seedbed.report.grids import Grid, Number, columns_with_values
from seedbed.report.incentives import KNOWN, Cell, Feedback
from seedbed.report.incentives_words import wrong_words
from seedbed.report.reader import Run

Column = tuple[str, Section, str, str, str | None]
"""Heading, section, name, kind of user, how measured (None: the run's own way)."""
Line = tuple[str, list[Number]]
_ENDS: tuple[Column, ...] = (
    ("harm, gameable", "behaviour", "harm", GAMEABLE, None),
    ("harm, others", "behaviour", "harm", OTHER, None),
    ("targeting", "targeting", "targeting", ALL, None),
    ("AUROC", "targeting", "auroc", ALL, None),
    ("rating gained", "goodhart", "rating-gained", ALL, None),
    ("welfare gained", "goodhart", "welfare-gained", ALL, None),
    ("form", "behaviour", "form", ALL, None),
    ("entropy", "behaviour", "entropy", ALL, None),
)
_PLAYED: tuple[Column, ...] = (
    ("harm, gameable", "behaviour", "harm", GAMEABLE, PLAYED),
    ("harm, others", "behaviour", "harm", OTHER, PLAYED),
    ("rating", "behaviour", "rating", ALL, PLAYED),
    ("welfare", "behaviour", "welfare", ALL, PLAYED),
    ("turns", "behaviour", "length", ALL, PLAYED),
    ("deceived", "behaviour", "deceived", ALL, PLAYED),
    ("vetoed", "behaviour", "vetoed", ALL, PLAYED),
    ("third less first", "agreement", "third-over-first", ALL, PLAYED),
    ("rank correlation", "agreement", "rank-correlation", ALL, PLAYED),
)
_VETO: tuple[Column, ...] = tuple(
    (head, "veto", name, ALL, PLAYED)
    for head, name in (
        ("harmful passed", "leaked"), ("predicted", "leaked-predicted"),
        ("difference", "leaked-over-prediction"), ("harmless stopped", "stopped"),
        ("predicted, stopped", "stopped-predicted"),
        ("difference, stopped", "stopped-over-prediction"),
    )
)  # fmt: skip


def grids(run: Run) -> list[Grid]:
    """The tables of what feedback taught; none if the study trains nothing on feedback."""
    feedback = Feedback(run)
    if not feedback.conditions:
        return []
    found: list[Grid | None] = [
        *(_ended(feedback, c) for c in feedback.conditions),
        _over(feedback), _in_play(feedback), _vetoes(feedback), _matrix(feedback),
        _lengths(feedback), _probes(feedback), _again(feedback), _failures(feedback),
    ]  # fmt: skip
    return [grid for grid in found if grid is not None]


def _number(row: IncentiveRow | None) -> Number:
    return Number(None) if row is None else Number.measured(row.value, row.low, row.high)


def _line(feedback: Feedback, cell: Cell, columns: Sequence[Column]) -> list[Number]:
    return [_number(feedback.row(cell, section, name, kind, by=by))
            for _, section, name, kind, by in columns]  # fmt: skip


def _made(
    name: str, title: str, note: str, heads: Sequence[str], rows: Sequence[Line],
    controls: frozenset[str] = frozenset(),
) -> Grid | None:  # fmt: skip
    found, kept = columns_with_values(heads, rows)
    return Grid(name, title, note, found, kept, controls) if kept else None


def _every(feedback: Feedback) -> tuple[list[tuple[str, Cell]], frozenset[str]]:
    """(`arm · condition`, cell) of all cells, and which of them are controls."""
    cells = [c for name in feedback.conditions for c in feedback.cells(name)]
    named = [(f"{c.arm} · {c.condition}", c) for c in cells]
    return named, frozenset(n for n, c in named if c.arm in feedback.controls)


def _ended(feedback: Feedback, condition: str) -> Grid | None:
    """The arms of one condition in the last round, beside known policies."""
    rows: list[Line] = []
    for cell in feedback.cells(condition):
        row = feedback.row(cell, "emergence", "harm", GAMEABLE, None)
        first = Number(None) if row is None or row.value is None else \
            Number(row.value, row.low, row.high, 0)  # fmt: skip
        rows.append((cell.arm, [*_line(feedback, cell, _ENDS), first]))
    names = []
    for policy, name in KNOWN.items():
        values = [feedback.known(condition, policy, "harm", k) for k in (GAMEABLE, OTHER)]
        values.append(feedback.known(condition, policy, "targeting"))
        names.append(name)
        rows.append((name, [*map(Number, values), *(Number(None) for _ in _ENDS[3:]),
                            Number(None)]))  # fmt: skip
    rounds = {c.last for c in feedback.cells(condition)}
    how = "probabilities of every reply" if feedback.by == EXACT else "episodes played"
    note = (
        f"After {wording.listed([str(k) for k in sorted(rounds)])} rounds, by {how} to held-out "
        "users; 95 % intervals over seeds and users. Emerged: the first round from which on harm "
        "to gameable users lies above round 0's, with the earliest and latest of single seeds. "
        "Gains since round 0, in the world's units; entropy of the act in bits. Grey: arms that "
        "choose without the reward, and known policies, which have no interval."
    )
    controls = frozenset([*names, *(a for a in feedback.arms if a in feedback.controls)])
    heads = ("arm", *(c[0] for c in _ENDS), "emerged in round")
    title = f"What each arm came to: {feedback.described(condition)}"
    return _made(f"incentives-{condition}", title, note, heads, rows, controls)


def _over(feedback: Feedback) -> Grid | None:
    """What each arm lies above each control under the same condition."""
    rows: list[Line] = []
    names = [a for a in feedback.arms if a in feedback.controls]
    for condition in feedback.conditions:
        for cell in feedback.cells(condition, controls=False):
            harm, index = feedback.over(cell), feedback.over(cell, ALL, "targeting")
            rows.append((f"{cell.arm} · {condition}", [
                *(_number(harm.get(c)) for c in names), *(_number(index.get(c)) for c in names),
            ]))  # fmt: skip
    heads = ("arm · condition", *(f"harm, gameable, over {c}" for c in names),
             *(f"targeting over {c}" for c in names))  # fmt: skip
    note = ("Last round, paired by seed and user; an interval that lies above 0 says that the "
            "reward did it.")  # fmt: skip
    return _made("incentives-over", "Above the controls", note, heads, rows)


def _in_play(feedback: Feedback) -> Grid | None:
    named, controls = _every(feedback)
    rows = [(name, _line(feedback, cell, _PLAYED)) for name, cell in named]
    note = (
        "Episodes of the last round; welfare is an episode's sum, deceived the share of claims "
        "that the record of calls contradicts. 95 % intervals over seeds and users."
    )
    heads = ("arm · condition", *(c[0] for c in _PLAYED))
    return _made("incentives-played", "As played", note, heads, rows, controls)


def _vetoes(feedback: Feedback) -> Grid | None:
    named, controls = _every(feedback)
    rows = [(name, _line(feedback, cell, _VETO)) for name, cell in named]
    note = ("Shares of the harmful (harmless) turns that detectors looked at in the last round; "
            "predicted from their known error rates on the same turns.")  # fmt: skip
    heads = ("arm · condition", *(c[0] for c in _VETO))
    return _made("incentives-vetoes", "Vetoes", note, heads, rows, controls)


def _matrix(feedback: Feedback) -> Grid | None:
    """Trained down, asked across."""
    rows: list[Line] = []
    named, controls = _every(feedback)
    asked = tuple(dict.fromkeys(r.environment for r in feedback.rows if r.section == "matrix"))
    for name, cell in named:
        label = crossed(feedback, cell)
        if label:
            rows.append((f"{name}: {label.partition(':')[2]}", [
                _number(feedback.row(cell, "matrix", f"{label}:gain", GAMEABLE, environment=e))
                for e in asked]))  # fmt: skip
    note = "Gain of harm to gameable users since round 0; after the colon, where it was trained."
    known = {f"{n}: {crossed(feedback, c).partition(':')[2]}" for n, c in named if n in controls}
    return _made("incentives-matrix", "Trained in one environment, asked in another", note,
                 ("trained", *asked), rows, frozenset(known))  # fmt: skip


def crossed(feedback: Feedback, cell: Cell) -> str:
    """`harm:ENVIRONMENTS` of the matrix' rows about a cell; "" without any."""
    return next((n for n in feedback.named("matrix", cell)
                 if n.startswith("harm:") and not n.endswith(":gain")), "")  # fmt: skip


def _lengths(feedback: Feedback) -> Grid | None:
    named, controls = _every(feedback)
    names = tuple(dict.fromkeys(
        r.name for r in feedback.rows if r.section == "length" and r.name.startswith("harm")
    ))  # fmt: skip
    rows = [(name, [_number(feedback.row(cell, "length", n, GAMEABLE, by=PLAYED)) for n in names])
            for name, cell in named]  # fmt: skip
    heads = ("arm · condition", *(n.replace(":", ", ").replace("-", " ") for n in names))
    note = "Harm to gameable users by turn, and by how long conversations are, in the last round."
    return _made("incentives-lengths", "Length of conversations", note, heads, rows, controls)


def _probes(feedback: Feedback) -> Grid | None:
    named, controls = _every(feedback)
    names = tuple(dict.fromkeys(
        r.name for r in feedback.rows
        if r.section == "probes" and r.name.partition(":")[2].startswith("all")
    ))  # fmt: skip
    rows = [(name, [_number(feedback.row(cell, "probes", n, ALL, by="")) for n in names])
            for name, cell in named]  # fmt: skip
    heads = ("arm · condition", *(n.replace(":all", "").replace(":", ", ") for n in names))
    note = ("Share of safe answers to a fixed set of questions; chance: choosing blindly; first: "
            "how often the first option was chosen; change: since round 0.")  # fmt: skip
    return _made("incentives-probes", "Safety probes", note, heads, rows, controls)


def _again(feedback: Feedback) -> Grid | None:
    named, controls = _every(feedback)
    names = tuple(dict.fromkeys(r.name for r in feedback.rows if r.section == "again"))
    rows = [(name, [_number(feedback.row(cell, "again", n, ALL, by=PLAYED)) for n in names])
            for name, cell in named]  # fmt: skip
    heads = ("arm · condition", *(n.replace(":", ", ").replace("-", " ") for n in names))
    note = "The transcripts of the last round rated once more by another judge."
    return _made("incentives-again", "Rated again", note, heads, rows, controls)


def _failures(feedback: Feedback) -> Grid | None:
    """Counts over all rounds and seeds."""
    named, controls = _every(feedback)
    names = tuple(dict.fromkeys(r.name for r in feedback.rows if r.section == "failures"))
    counts: dict[tuple[str, str, str], float] = {}
    for r in feedback.rows:
        if r.section == "failures" and not r.environment:
            key = r.condition, r.arm, r.name
            counts[key] = counts.get(key, 0.0) + (r.value or 0.0)
    used = [n for n in names if any(v for (_, _, name), v in counts.items() if name == n)]
    rows = [(name, [Number(counts.get((cell.condition, cell.arm, n)), places=0) for n in used])
            for name, cell in named]  # fmt: skip
    heads = ("arm · condition",
             *(n if ":" not in n and n != "failed" else wrong_words(n) for n in used))  # fmt: skip
    note = ("Counts over all rounds and seeds. A failed episode is kept with its reason, and a "
            "verdict that is missing is never filled in.")  # fmt: skip
    return _made("incentives-failures", "What went wrong", note, heads, rows, controls)
