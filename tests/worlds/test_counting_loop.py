"""The data loop with scripted chat models: checked, pruned, topped up, resumed."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.chat import Reply, Request
from seedbed.core.errors import InputError
from seedbed.core.files import read_objects
from seedbed.core.seeds import stream
from seedbed.models.chat.model import ChatModel
from seedbed.worlds.counting.chatting import WARM, Asked, json_object, request
from seedbed.worlds.counting.examples import Example, read_examples
from seedbed.worlds.counting.judging import Judge
from seedbed.worlds.counting.lists import load
from seedbed.worlds.counting.loop import run_loop
from seedbed.worlds.counting.wanted import Wanted

PLAN = re.compile(r'\d+\. category "(.+)": (\d+) words, of which exactly (\d+) ')
NAMES = ("fruits", "birds", "tools", "metals", "dances", "weather", "jobs", "emotions")


class Scripted:
    """A chat model whose text is a function of the request; it may stop after so many."""

    def __init__(self, name: str, text: Callable[[Request], str], stop: int | None = None) -> None:
        self.name, self.text, self.stop, self.asked = name, text, stop, 0
        self.identity = {"name": name}

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for i, one in enumerate(requests):
            if self.stop is not None and self.asked >= self.stop:
                raise KeyboardInterrupt
            self.asked += 1
            text = self.text(one)
            error = "the server said no" if text == "!" else ""
            yield i, Reply(text="" if error else text, error=error, prompt_tokens=10,
                           completion_tokens=5, dollars=0.001)  # fmt: skip

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [reply for _, reply in self.replies(requests)]


def writes(one: Request) -> str:
    """Examples as asked for, some of them wrong in one way or another."""
    user = one.messages[-1].content
    rng = stream(0, one.salt, user)
    if rng.random() < 0.2:
        return "I would rather not."
    lists, rows = load(), []
    for name, length, count in PLAN.findall(user):
        category = lists.category(name)
        members = rng.sample(category.members, int(count))
        fillers = [w for w in lists.fields if lists.verdict(category, w) is False][:3000]
        words = members + rng.sample(fillers, int(length) - int(count))
        kind = rng.choice(["right", "right", "right", "unlisted", "wrong", "spaced", "other"])
        if kind == "unlisted":
            words[-1] = rng.choice(["zorp", "blick", "wug"])
        if kind == "spaced":
            words[-1] = "two words"
        row = {"category": "wines" if kind == "other" else name, "words": words,
               "num_target": int(count) + (kind == "wrong"), "notes": kind}  # fmt: skip
        rows.append(row)
    return f"Here you are:\n```json\n{json.dumps({'examples': rows})}\n```"


def judges(one: Request) -> str:
    """Nonsense words: `wug` belongs nowhere, `zorp` everywhere, `blick` is unsure."""
    words = one.messages[-1].content.splitlines()[1].removeprefix("Words: ").split(", ")
    said = {"wug": "no", "zorp": "yes"}
    rows = [{"word": w, "belongs": said.get(w, "unsure"), "reason": f"about {w}"} for w in words]
    return json.dumps({"verdicts": rows})


def wanted(total: int, **values: Any) -> Wanted:
    return Wanted.model_validate(
        {"examples": total, "categories": NAMES, "cap": 0.3, "lengths": (5, 7), "counts": (0, 4),
         **values}
    )  # fmt: skip


def read_all(folder: Path) -> dict[str, bytes]:
    names = ("examples.jsonl", "pruned.jsonl", "report.json")
    return {name: (folder / name).read_bytes() for name in names}


def test_a_chat_set_stands_checked_and_explained(tmp_path: Path) -> None:
    report = run_loop(wanted(40, generator="chat"), 0, tmp_path, Scripted("a:x", writes),
                      Scripted("b:y", judges))  # fmt: skip
    examples = [e for _, e in read_examples(tmp_path / "examples.jsonl")]
    assert report.complete
    assert len(examples) == report.kept == 40
    lists = load()
    for example in examples:
        category = lists.category(example.category)
        verdicts = [lists.verdict(category, w) for w in example.words]
        belonging = {w for w, v in zip(example.words, verdicts, strict=True) if v}
        assert set(example.members or ()) == belonging | ({"zorp"} & set(example.words))
        assert example.generation_method == "llm"
        assert "blick" not in example.words
        assert example.notes
    pruned = [row for _, row in read_objects(tmp_path / "pruned.jsonl")]
    by_outcome = {row["outcome"]: row for row in pruned}
    assert set(by_outcome) >= {"wrong count", "undecided", "unfit"}
    assert all(row["why"] for row in pruned)
    assert by_outcome["undecided"]["reasons"]["blick"] == "chat: about blick"
    whys = " ".join(row["why"] for row in pruned)
    assert "'two words' is not one lower-case word" in whys
    assert "'wines' was not asked for" in whys
    assert re.search(r"\d belong: ", by_outcome["wrong count"]["why"])
    assert {(d.word, d.reason) for d in report.disputed_words} == {("blick", "chat: about blick")}
    made = report.methods["llm"]
    assert made.made == len(examples) + len(pruned)
    assert made.pruned == {
        k: sum(r["outcome"] == k for r in pruned) for k in sorted({r["outcome"] for r in pruned})
    }
    cost = report.costs["generator"]
    assert cost.requests > 40 / 5
    assert cost.again > 0
    assert cost.prompt_tokens == 10 * cost.requests
    assert cost.dollars == pytest.approx(0.001 * cost.requests)
    assert not [w for w in report.warnings if "model" in w]


@pytest.mark.parametrize("stop", [1, 7, 9])
def test_a_killed_loop_goes_on_to_the_same_bytes(tmp_path: Path, stop: int) -> None:
    settings = wanted(40, generator="mixed", chat_share=0.5)
    whole, judge = Scripted("a:x", writes), Scripted("b:y", judges)
    run_loop(settings, 3, tmp_path / "whole", whole, judge)
    cut, kept = tmp_path / "cut", tmp_path / "replies"
    killed = ChatModel(Scripted("a:x", writes, stop=stop), kept)
    with pytest.raises(KeyboardInterrupt):
        run_loop(settings, 3, cut, killed, ChatModel(Scripted("b:y", judges), kept))
    assert not (cut / "examples.jsonl").exists()
    done = len(list(kept.rglob("*.json")))
    assert done >= stop
    rest, again = Scripted("a:x", writes), Scripted("b:y", judges)
    run_loop(settings, 3, cut, ChatModel(rest, kept), ChatModel(again, kept))
    assert read_all(cut) == read_all(tmp_path / "whole")
    assert rest.asked + again.asked + done == whole.asked + judge.asked
    idle = ChatModel(Scripted("a:x", writes, stop=0), kept)
    run_loop(settings, 3, cut, idle, ChatModel(Scripted("b:y", judges, stop=0), kept))
    assert read_all(cut) == read_all(tmp_path / "whole")


def test_a_mixed_set_has_the_share_and_is_flat(tmp_path: Path) -> None:
    report = run_loop(wanted(80, generator="mixed", chat_share=0.25), 1, tmp_path,
                      Scripted("a:x", writes), Scripted("b:y", judges))  # fmt: skip
    examples = [e for _, e in read_examples(tmp_path / "examples.jsonl")]
    assert sum(e.generation_method == "llm" for e in examples) == 20
    assert len(examples) == 80
    assert all(one.p > 0.05 for one in report.distributions.values())
    assert report.disputed_labels == 0
    assert report.warnings == []


def test_a_set_that_somebody_made_is_checked_pruned_and_topped_up(tmp_path: Path) -> None:
    first = run_loop(wanted(30), 0, tmp_path / "first")
    good = [e for _, e in read_examples(tmp_path / "first" / "examples.jsonl")][:20]
    wrong = good[0].model_copy(
        update={"num_target": (good[0].num_target + 1) % 4, "words": good[0].words, "members": None}
    )
    odd = good[1].model_copy(update={"category": "wood"})
    report = run_loop(wanted(30), 1, tmp_path / "second", start=[*good, good[2], wrong, odd])
    kept = [e for _, e in read_examples(tmp_path / "second" / "examples.jsonl")]
    assert all(e in kept for e in good)
    assert len(kept) == first.kept == 30
    assert report.disputed_labels == 0
    pruned = [row for _, row in read_objects(tmp_path / "second" / "pruned.jsonl")]
    assert sorted(row["outcome"] for row in pruned) == ["duplicate", "unfit", "wrong count"]
    assert report.methods["systematic"].valid == pytest.approx(31 / 33)


def test_systematic_needs_nobody_and_asks_nobody(tmp_path: Path) -> None:
    report = run_loop(wanted(60), 0, tmp_path, None, None)
    assert report.methods["systematic"].valid == 1
    assert report.methods["systematic"].kept == 60
    assert report.costs == {}
    assert report.warnings == []
    assert (tmp_path / "pruned.jsonl").read_text() == ""


def test_without_a_validator_unlisted_words_are_undecided(tmp_path: Path) -> None:
    report = run_loop(wanted(20, generator="chat"), 0, tmp_path, Scripted("a:x", writes), None)
    pruned = [row for _, row in read_objects(tmp_path / "pruned.jsonl")]
    assert "it is in no list" in {why for row in pruned for why in row["reasons"].values()}
    assert any("no validator" in w for w in report.warnings)


def test_one_model_for_both_is_warned_of(tmp_path: Path) -> None:
    def both(one: Request) -> str:
        return judges(one) if one.messages[-1].content.startswith("Category: ") else writes(one)

    model = Scripted("a:x", both)
    report = run_loop(wanted(10, generator="chat"), 0, tmp_path, model, model)
    assert any("the same model (a:x)" in w for w in report.warnings)


def test_rounds_that_are_spent_are_said_so(tmp_path: Path) -> None:
    report = run_loop(wanted(20, generator="chat", rounds=2), 0, tmp_path,
                      Scripted("a:x", lambda _: "{"), None)  # fmt: skip
    assert not report.complete
    assert report.kept == 0
    assert "0 of 20 examples stand after 2 rounds" in report.warnings
    assert report.costs["generator"].failed > 0
    mixed = run_loop(wanted(20, generator="mixed", rounds=1), 0, tmp_path,
                     Scripted("a:x", lambda _: "{"), None)  # fmt: skip
    assert mixed.complete
    assert "0 of 2 examples are the chat model's" in mixed.warnings


def test_a_generator_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a chat model: give --model"):
        run_loop(wanted(20, generator="chat"), 0, tmp_path, None, None)


def test_failed_replies_are_asked_again() -> None:
    calls: list[tuple[str, float]] = []

    def text(one: Request) -> str:
        calls.append((one.salt, one.temperature))
        return "!" if one.salt.endswith("/0") else '{"a": 1}'

    asked = Asked(Scripted("a:x", text))
    found = asked.parsed([request("s", "u", {}, 9, "k")], lambda _, t: json_object(t)["a"])
    assert found == [1]
    assert calls == [("k/0", 0.0), ("k/1", WARM)]
    assert (asked.cost.requests, asked.cost.again, asked.cost.failed) == (2, 1, 0)


def test_an_unknown_price_is_unknown() -> None:
    class Free(Scripted):
        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            return [r.model_copy(update={"dollars": None}) for r in super().ask(requests)]

    asked = Asked(Free("a:x", lambda _: "{}"))
    asked.parsed([request("s", str(i), {}, 9, "k") for i in range(3)], lambda _, t: json_object(t))
    assert asked.cost.dollars is None
    assert asked.cost.requests == 3


@pytest.mark.parametrize("text", ["", "no", "[1]", "{", "{'a': 1}"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="reply"):
        json_object(text)


def test_a_judge_that_leaves_words_out_is_asked_again_then_unsure() -> None:
    asked = Asked(Scripted("b:y", lambda _: '{"verdicts": []}'))
    example = Example(category="fruits", words=("apple", "saw", "zorp"), num_target=1)
    verdict = Judge(asked).verdicts([example, example])[1]
    assert verdict.outcome == "undecided"
    assert verdict.reasons == {"zorp": "chat: no usable reply"}
    assert asked.cost.requests == 3
    assert asked.cost.failed == 1
