import json
from pathlib import Path

import pytest

from seedbed.core.errors import DataError
from seedbed.core.foreign import read_documents, read_questions


def _write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_names_people_use_are_understood(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.jsonl", {"uid": "u1", "text": "one", "hop_depth": 1},
                  {"content": "two", "id": 7}, {"text": "three"})  # fmt: skip
    documents = read_documents(path)
    assert [d.id for d in documents] == ["u1", "7", "line-3"]
    assert documents[0].meta == {"hop_depth": 1}
    query = {"uid": "q_0", "query": "F(4) is ", "completion": "1", "func": "F", "correct": True}
    [question] = read_questions(_write(tmp_path / "q.jsonl", query))
    assert (question.id, question.prompt, question.answer) == ("q_0", "F(4) is ", "1")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"id": "a"}, ":2: has no text; one of the keys text, content, document"),
        ({"id": "a", "text": ""}, ":2: text: a text is needed, it is empty"),
        ({"id": "a", "text": 3}, ":2: text: a text is needed, it is a int"),
        ({"uid": "ok", "text": "again"}, ":2: id 'ok' stands on line 1"),
    ],
)
def test_a_row_without_a_text_names_its_line(tmp_path: Path, row: object, words: str) -> None:
    path = _write(tmp_path / "d.jsonl", {"uid": "ok", "text": "fine"}, row)
    with pytest.raises(DataError) as caught:
        read_documents(path)
    assert words in str(caught.value)


def test_a_question_without_an_answer(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=":1: has no answer"):
        read_questions(_write(tmp_path / "q.jsonl", {"query": "x"}))
