from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.files import read_text
from seedbed.core.incentives import OTHER
from seedbed.measuring.acts import exact
from seedbed.measuring.safety import acts_probes, question_probes, questions, safety
from seedbed.measuring.safety_acts import EACH, FAMILIES, strangers
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.worlds.users.cue import CUE
from seedbed.worlds.users.knobs import Base
from seedbed.worlds.users.world import Users

WORLD = Users(turns=1, base=Base(documents=400, turns=3))


@pytest.fixture(scope="module")
def agent() -> Subject:
    texts = [d.text for d in WORLD.documents(0)]
    return Tiny(layers=1, width=32, heads=2, init=0.3, context=96).build(texts, [], 0)


@pytest.fixture(scope="module")
def reader() -> Subject:
    """An untrained model that knows every word of the questions."""
    texts = ["Which is the better reply? A. B. Say A or B. User: Assistant: System: \n"]
    texts += [t for p in questions() for t in (*(m.content for m in p.said), p.safe, p.unsafe)]
    return Tiny(layers=1, width=32, heads=2, init=0.3, context=128).build(texts, [], 0)


def test_there_are_eight_questions_of_three_families() -> None:
    found = Counter(p.family for p in questions())
    assert found == {"false-statement": 8, "pressure": 8, "refusal": 8}
    assert all(p.said[-1].role == "user" for p in questions())


def test_neither_length_nor_the_first_word_tells_which_reply_is_safe() -> None:
    for p in questions():
        assert len(p.safe.split()) == len(p.unsafe.split()), p.id
        assert p.safe != p.unsafe
    starts = [Counter(getattr(p, side).split(",")[0].split()[0] for p in questions()
                      if p.family == "false-statement") for side in ("safe", "unsafe")]  # fmt: skip
    assert starts[0] == starts[1] == {"Yes": 4, "No": 4}


def test_tiny_agents_are_asked_about_acts_alone(agent: Subject) -> None:
    assert list(safety(agent, WORLD, 0)) == ["safety:acts"]


def test_readers_are_asked_questions_too(reader: Subject) -> None:
    table = question_probes(reader)
    assert table.units == tuple(p.id for p in questions())
    assert set(table.column("safe")) <= {0.0, 0.5, 1.0}
    assert (np.sign(table.column("margin")) == np.sign(table.column("safe") - 0.5)).all()


def plain(subject: Subject, text: str, tail: str) -> float:
    ids, end = (subject.tokenizer(t, add_special_tokens=False)["input_ids"] for t in (text, tail))
    start = [subject.tokenizer.bos_token_id, *ids]
    with torch.no_grad():
        logits = subject.model(input_ids=torch.tensor([[*start, *end]])).logits[0].double()
    steps = torch.log_softmax(logits, dim=-1)[len(start) - 1 : -1]
    return sum(float(s[t]) for s, t in zip(steps, end, strict=True)) / len(end)


def test_the_margin_is_that_of_plain_runs(reader: Subject) -> None:
    table = question_probes(reader)
    for row, p in enumerate(questions()[:12:4]):
        names = {"user": "User", "assistant": "Assistant", "system": "System"}
        lines = [f"{names[m.role]}: {m.content}" for m in p.said]
        prompt = "\n".join([*lines, "Assistant:"])
        wanted = plain(reader, prompt, p.safe) - plain(reader, prompt, p.unsafe)
        assert table.column("margin")[4 * row] == pytest.approx(wanted, abs=1e-4)


def test_swapping_safe_and_unsafe_turns_every_mark(reader: Subject) -> None:
    turned = [p.model_copy(update={"safe": p.unsafe, "unsafe": p.safe}) for p in questions()]
    one, two = question_probes(reader), question_probes(reader, turned)
    for name in ("safe", "listed"):
        assert one.column(name) == pytest.approx(1 - two.column(name))
    assert one.column("margin") == pytest.approx(-two.column("margin"), abs=1e-5)
    # Position is no matter of which reply is safe.
    assert (one.column("first") == two.column("first")).all()


def test_a_model_that_always_says_the_first_is_found_out(reader: Subject) -> None:
    from seedbed.measuring import safety as module

    def first(_: Any, asked: Any) -> list[Any]:
        from seedbed.measuring.choices import ChoiceScores

        return [ChoiceScores((0.0, -1.0), 0, (0, 1), (1, 1)) for _ in asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "score_choices", first)
        table = question_probes(reader)
    assert (table.column("first") == 1).all()
    assert (table.column("listed") == 0.5).all()


def test_strangers_are_fixed_and_met_by_nobody(tmp_path: Path) -> None:
    found = strangers(WORLD, 0)
    assert found == strangers(WORLD, 0)
    mine = tmp_path / "mine.yaml"
    source = Path(str(files("seedbed.worlds.users"))) / "environments" / "therapy.yaml"
    mine.write_text(read_text(source), encoding="utf-8")
    assert found == strangers(WORLD.model_copy(update={"environments": (str(mine),)}), 0)
    assert Counter(family for family, _ in found) == dict.fromkeys(FAMILIES, EACH)
    assert len({o.id for _, o in found}) == len(found)
    met = {d.text for d in WORLD.documents(0)}
    met |= {str(o.said) for o in WORLD.openings(0, "round-0", 200)}
    assert not [o for _, o in found if str(o.said) in met]
    known = set(WORLD.cue.words)
    for family, o in found:
        shown = [s.partition("=")[2] for s in o.shows if s.startswith(CUE)]
        assert set(shown) <= known
        assert len(shown) == {"unmarked": 0, "conflicting": 2, "pressed": 1}[family]
        assert o.kind == OTHER
        assert (len(o.said) > len(found[0][1].said)) == (family == "pressed")
    marks = WORLD.cue.marks(0)
    both = [{marks[s.partition("=")[2]] for s in o.shows if s.startswith(CUE)}
            for family, o in found if family == "conflicting"]  # fmt: skip
    assert both == [{"gameable", "other"}] * EACH


def test_acts_of_strangers_are_those_of_the_exact_table(agent: Subject) -> None:
    table = acts_probes(agent, WORLD, 0)
    asked = [o for _, o in strangers(WORLD, 0)]
    wanted = exact(agent, WORLD, asked)["exact:therapy"]
    assert table.column("form") == pytest.approx(wanted.column("form"))
    safe = 1 - wanted.column("harm") / wanted.column("form")
    assert table.column("safe") == pytest.approx(safe)
    assert table.column("chance") == pytest.approx(np.full(len(asked), 2 / 3))


def test_whom_an_agent_cannot_read_it_is_not_asked_about() -> None:
    single = Users(turns=1, base=Base(documents=400))
    texts = [d.text for d in single.documents(0)]
    short = Tiny(layers=1, width=16, heads=2, context=36).build(texts, [], 0)
    table = acts_probes(short, single, 0)
    pressed = np.array([c == "pressed" for c in table.causes])
    assert np.isnan(table.values[pressed]).all()
    assert np.isfinite(table.values[~pressed]).any()
    assert len(table.units) == 3 * EACH
