"""Learned first: which groups of questions a subject answers, and which it is asked about."""

from collections.abc import Sequence

from seedbed.core.rows import Question, Row, in_turns
from seedbed.core.seeds import stream
from seedbed.measuring.answers import Answer
from seedbed.scoring.intervals import wilson
from seedbed.worlds.base import Gate


class GateRow(Row):
    """One group of one seed: accuracy on held-out questions against chance + margin."""

    seed: int
    slice: str
    n: int
    accuracy: float
    low: float
    high: float
    chance: float
    margin: float
    passed: bool
    required: bool


def group_of(question: Question, gate: Gate) -> str:
    """The gate's group of a question ("" if the world has no such slice)."""
    return question.slices.get(gate.by, "")


def judge(
    gate: Gate, questions: Sequence[Question], answers: Sequence[Answer], seed: int
) -> list[GateRow]:
    """One row a group, over questions of the split `id`."""
    groups: dict[str, list[int]] = {}
    for i, question in enumerate(questions):
        if question.split == "id":
            groups.setdefault(group_of(question, gate), []).append(i)
    rows = []
    for name, index in sorted(groups.items()):
        right, n = sum(answers[i].correct for i in index), len(index)
        low, high = wilson(right, n)
        chance = sum(1 / len(questions[i].choices) for i in index) / n
        rows.append(
            GateRow(
                seed=seed,
                slice=f"{gate.by}={name}",
                n=n,
                accuracy=right / n,
                low=low,
                high=high,
                chance=chance,
                margin=gate.margin,
                passed=low >= chance + gate.margin,
                required=not gate.required or name in gate.required,
            )
        )
    return rows


def stop_reason(rows: Sequence[GateRow]) -> str:
    """Why the study must stop, with the figures and what to change; "" if it need not."""
    failed = [r for r in rows if r.required and not r.passed]
    some = any(r.passed for r in rows)
    if not failed and some:
        return ""
    worst: dict[str, GateRow] = {}
    for row in failed or rows:
        if row.slice not in worst or row.low < worst[row.slice].low:
            worst[row.slice] = row
    figures = "; ".join(
        f"{r.slice} (seed {r.seed}): accuracy {r.accuracy:.2f} [{r.low:.2f}, {r.high:.2f}] on "
        f"{r.n} held-out questions, needed: lower end ≥ {r.chance + r.margin:.2f} "
        f"(chance {r.chance:.2f} + {r.margin:.2f})"
        for r in worst.values()
    )
    return (
        f"not learned, so no finder was run: {figures}. Change: more training.steps, another "
        "subject, a world with less to learn (the report says more), or world.gate.required to go "
        "on without these questions"
    )


def ask(
    gate: Gate, questions: Sequence[Question], rows: Sequence[GateRow], count: int, seed: int
) -> tuple[list[Question], list[dict[str, str]]]:
    """(the questions put to finders, the excluded ones with their reason).

    About `count` questions, shared evenly among the groups that passed and, within a group,
    taken in turn from its causes. Which ones depends on the seed alone, not on the answers.
    """
    passed = {r.slice for r in rows if r.passed}
    excluded: list[dict[str, str]] = []
    groups: dict[str, dict[str, list[Question]]] = {}
    for question in questions:
        name = f"{gate.by}={group_of(question, gate)}"
        if question.split != gate.asked:
            reason = f"split {question.split}: only questions of split {gate.asked} are asked about"
        elif gate.asked == "id" and name not in passed:
            reason = f"{name} did not pass the gate"
        else:
            groups.setdefault(name, {}).setdefault(question.cause, []).append(question)
            continue
        excluded.append({"question": question.id, "reason": reason})
    chosen: set[str] = set()
    share = -(-count // max(1, len(groups)))
    for name, causes in sorted(groups.items()):
        rng = stream(seed, "ask", name)
        turns = [rng.sample(causes[c], len(causes[c])) for c in sorted(causes)]
        rng.shuffle(turns)
        chosen |= {q.id for q in in_turns(turns)[:share]}
    asked = [q for q in questions if q.id in chosen]
    gone = {e["question"] for e in excluded} | chosen
    excluded += [
        {"question": q.id, "reason": f"beyond the {count} questions that the study asks about"}
        for q in questions
        if q.id not in gone
    ]
    return asked, excluded
