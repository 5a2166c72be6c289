import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.measuring.answers import answer
from seedbed.measuring.recurrences import by_recurrences, recurs
from seedbed.models.recurrent import Recurrent, recurring
from seedbed.models.tiny import Tiny

KINDS = ("stored", "computed", "unrelated", "")


def _questions() -> list[Question]:
    rows = []
    for i, prompt in enumerate(("a b", "b c d", "d e a", "c c", "e", "a d", "b b a", "e d")):
        kind = KINDS[i % 4]
        rows.append(
            Question(
                id=f"q{i}",
                prompt=prompt,
                choices=("a", "b", "c"),
                answer="abc"[i % 3],
                cause=f"c{i}" if i % 2 else "",
                split="unrelated" if kind == "unrelated" else "id",
                slices={"kind": kind} if kind in KINDS[:2] else {},
            )
        )
    return rows


def test_every_number_of_recurrences_is_asked_by_itself() -> None:
    subject = Recurrent(width=16, heads=2, recurrences=3, init=0.5).build(["a b c d e"], [], 1)
    questions = _questions()
    tables = by_recurrences(subject, questions, (1, 2, 3, 7))
    assert list(tables) == [f"recurrence:{k}" for k in ("all", "computed", "stored", "unrelated")]
    assert subject.model.config.recurrences == 3
    found: dict[str, list[float]] = {}
    for table in tables.values():
        assert table.columns == tuple(f"accuracy|||{float(r)!r}" for r in (1, 2, 3, 7))
        found |= dict(zip(table.units, table.values.tolist(), strict=True))
    assert tables["recurrence:stored"].units == ("q0", "q4")
    assert tables["recurrence:computed"].causes == ("c1", "c5")
    assert tables["recurrence:stored"].causes == ("q0", "q4")
    for column, count in enumerate((1, 2, 3, 7)):
        with recurring(subject.model, count):
            right = [float(a.correct) for a in answer(subject, questions)]
        assert [found[q.id][column] for q in questions] == right
    # Depth changes some answers of a random model, or nothing was set at all.
    assert any(len(set(row)) > 1 for row in found.values())


def test_what_has_no_recurrences_is_refused() -> None:
    plain = Tiny(layers=1, width=16, heads=2).build(["a b c d e"], [], 0)
    with pytest.raises(InputError, match="every block runs once, it has no recurrences"):
        by_recurrences(plain, _questions(), (1, 2))
    assert not recurs(plain)
    subject = Recurrent(width=16, heads=2, recurrences=1).build(["a b c d e"], [], 0)
    assert recurs(subject)
    with pytest.raises(InputError, match=r"\[2, 2\] names a number twice"):
        by_recurrences(subject, _questions(), (2, 2))
    with pytest.raises(InputError, match="recurrences: 0"):
        by_recurrences(subject, _questions(), (0,))
