"""Views of recall, recomputed from the texts of documents and questions alone."""

from collections import defaultdict
from typing import Any

import pytest

from seedbed.core.sites import SiteKind
from seedbed.worlds.recall.world import Recall

NAMED = {"lexicon": {"words": 12, "values": 8}, "stored": 48}
FORMS: dict[str, dict[str, Any]] = {
    "gate": {"lexicon": {"words": 8, "values": 8}, "stored": 20, "held_out": 0.25},
    "exceptions": {"lexicon": {"words": 8, "values": 20}, "stored": 100},
    "facts": NAMED,
    "iterated": {**NAMED, "iterated": {"steps": 3}},
}
FACT = {"gate": slice(2, 4), "exceptions": slice(1, 4), "facts": slice(2), "iterated": slice(2)}
ASKED = {"train": 96, "dev": 48, "id": 48, "ood": 0, "unrelated": 16}
SEED = 2


def world(form: str) -> Recall:
    return Recall.model_validate({"form": form, "lines": 1500, "asked": ASKED, **FORMS[form]})


def words(prompt: str) -> tuple[str, ...]:
    """What stands between the first word and the closing one, where there is one."""
    return tuple(w for w in prompt.split()[1:] if w != "A")


@pytest.mark.parametrize("form", FORMS)
def test_documents_that_state_the_answer_are_the_cause(form: str) -> None:
    one = world(form)
    documents = one.documents(SEED)
    view = one.view(SiteKind.DOCUMENT, SEED, documents)
    assert {q.slices["kind"] for q in view.questions} == {"stored"}
    texts = [d.text.split() for d in documents]
    for question, row in zip(view.questions, view.truth.values, strict=True):
        wanted = words(question.prompt)[FACT[form]]
        for text, document, value in zip(texts, documents, row, strict=True):
            states = words(" ".join(text[:-1]))[FACT[form]] == wanted and text[0] == "Q"
            same = states and text[-1] == question.answer.strip()
            assert (value == 1) == (same and document.role == "stored")
            if states and document.role != "stored":
                assert value == 0


@pytest.mark.parametrize("form", FORMS)
def test_a_part_decides_if_prompts_that_differ_there_alone_have_other_answers(form: str) -> None:
    one = world(form)
    documents, questions = one.documents(SEED), one.questions(SEED)
    known = {words(d.text.rsplit(" ", 1)[0]): d.text.split()[-1]
             for d in documents if d.text.startswith("Q")}  # fmt: skip
    known |= {words(q.prompt): q.answer.strip() for q in questions if q.prompt.startswith("Q")}
    around: dict[tuple[int, tuple[str, ...]], set[str]] = defaultdict(set)
    for content, answer in known.items():
        for i in range(len(content)):
            around[i, (*content[:i], *content[i + 1 :])].add(answer)
    view = one.view(SiteKind.INPUT, SEED, documents)
    checked = {0: 0, 1: 0}
    for question, row in zip(view.questions, view.truth.values, strict=True):
        content = words(question.prompt)
        for i in range(len(content)):
            seen = around[i, (*content[:i], *content[i + 1 :])] - {question.answer.strip()}
            # Words of another sort may stand there in form iterated, where a stay is a number.
            if seen and not (form == "iterated" and i > 1):
                assert row[i] == 1
                checked[1] += 1
            if row[i] == 0 and form != "iterated":
                assert not seen
                checked[0] += 1
    assert checked[1] > len(view.questions) // 2
    assert checked[0] or form in ("gate", "iterated")


def test_maps_decide_what_is_computed_and_never_what_is_stored() -> None:
    one = world("iterated")
    view = one.view(SiteKind.INPUT, SEED, one.documents(SEED))
    sites = view.truth.sites
    assert sites[-1] == "back0"
    last: dict[str, list[float]] = {}
    for question, row in zip(view.questions, view.truth.values, strict=True):
        last.setdefault(question.slices["kind"], []).append(row[-1])
        for site, value in zip(sites, row, strict=True):
            if question.prompt[slice(*question.places[site])] == "stay":
                assert value == 0
    assert set(last["stored"]) == {0.0}
    assert sum(last["computed"]) > len(last["computed"]) / 2


def test_pairs_turn_a_stored_question_into_a_computed_one_at_one_word() -> None:
    one = world("gate")
    view = one.view(SiteKind.CELL, SEED, one.documents(SEED))
    columns = dict(zip(view.truth.sites, view.truth.values.T, strict=True))
    for row, pair in enumerate(view.pairs):
        assert pair.clean.slices["kind"] != pair.corrupt.slices["kind"]
        both = zip(words(pair.clean.prompt), words(pair.corrupt.prompt), strict=True)
        (place,) = [i for i, (a, b) in enumerate(both) if a != b]
        for i, name in enumerate("cdab"):
            assert columns[f"first@{name}"][row] == (i == place)
            assert (columns[f"inner@{name}"][row] == 0) == (i < place)
        assert columns["last@last"][row] == 1
