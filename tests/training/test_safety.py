import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from seedbed.core.chat import Message
from seedbed.core.conversation import markup, own_turns
from seedbed.core.errors import DataError, InputError
from seedbed.core.rows import Document
from seedbed.models.subject import Subject
from seedbed.training.safety import Safety, drawn_safety, read_safety

AgentMaker = Callable[[], Subject]


def _talk(reply: str) -> str:
    return markup([Message(role="user", content="help"), Message(role="assistant", content=reply)])


def _documents(count: int) -> list[Document]:
    text = _talk("rest now")
    return [Document(id=f"s{i}", text=text, targets=own_turns(text), role="truth", facts=("f",),
                     weight=0.0) for i in range(count)]  # fmt: skip


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 10), (0.5, 30), (0.75, 90)])
def test_shares_are_of_all_documents(share: float, count: int) -> None:
    assert Safety(share=share).count(30) == count
    assert count / (count + 30) == share


def test_each_is_drawn_as_often_as_any_other(agent: AgentMaker) -> None:
    tokenizer = agent().tokenizer
    drawn = drawn_safety(tokenizer, _documents(4), 10, 0, "kto")
    counts = Counter(d.id.split("~")[0] for d in drawn)
    assert sorted(counts.values()) == [2, 2, 3, 3]
    assert len({d.id for d in drawn}) == 10
    assert {(d.role, d.weight, d.marks["label"]) for d in drawn} == {("safety", 1.0, 1.0)}
    assert drawn == drawn_safety(tokenizer, _documents(4), 10, 0, "kto")
    assert drawn != drawn_safety(tokenizer, _documents(4), 10, 1, "kto")


def test_without_targets_the_last_reply_is_one(agent: AgentMaker) -> None:
    text = _talk("rest now") + _talk("talk to her")
    (found,) = drawn_safety(agent().tokenizer, [Document(id="d", text=text)], 1, 0, "kto")
    assert [found.text[s:e] for s, e in found.targets] == ["talk to her <end>"]


def test_a_file_of_the_users_own(agent: AgentMaker, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": "help"},
                      {"role": "assistant", "content": "please rest"}]},
        {"id": "bad", "label": False,
         "messages": [{"role": "user", "content": "help"}, {"role": "assistant", "content": "no"}]},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    good, bad = read_safety(path)
    assert (good.id, good.text, good.marks) == ("mine:1", _talk("please rest"), {"label": 1.0})
    assert (bad.id, bad.marks) == ("bad", {"label": 0.0})
    tokenizer = agent().tokenizer
    assert {d.id for d in drawn_safety(tokenizer, [good, bad], 2, 0, "kto")} == {
        "0:safety:mine:1", "0:safety:bad"}  # fmt: skip
    # Expert iteration would learn what is not wanted.
    assert {d.id for d in drawn_safety(tokenizer, [good, bad], 2, 0, "expert-iteration")} == {
        "0:safety:mine:1", "0:safety:mine:1~1"}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"messages": []}', "messages"),
        ('{"mesages": []}', "mesages: unknown key; did you mean 'messages'?"),
        ('{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}',
         "the last one must be the assistant's"),
        ('{"messages": [{"role": "user", "content": "<end>"},'
         ' {"role": "assistant", "content": "b"}]}', "holds the mark <end>"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n" + line + "\n")
    with pytest.raises(DataError, match=r"mine.jsonl:2: ") as caught:
        read_safety(path)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("documents", "says"),
    [([], "no safety data"), ([Document(id="p", text="help")], "'p' is no conversation"),
     ([Document(id="u", text="<user> help\n")], "'u' has no reply")],
)  # fmt: skip
def test_what_cannot_be_mixed_in_is_refused(
    agent: AgentMaker, documents: list[Document], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        drawn_safety(agent().tokenizer, documents, 1, 0, "kto")
