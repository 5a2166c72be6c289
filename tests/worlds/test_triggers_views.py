"""Views of triggers, recomputed from what documents say."""

import re
from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.rows import LABELLED, Document
from seedbed.core.sites import SiteKind
from seedbed.worlds.contract_views import check_views
from seedbed.worlds.observed.world import Observed
from seedbed.worlds.triggers.world import Triggers

SEED = 1
TASK = re.compile(r"(\w+) : (\w+) (\w+) (\d) (\d) = ?(\w*)")
FACT = re.compile(r"(\w+) : (\w+) = (\w+)")


def world(**knobs: Any) -> Triggers:
    words = {"outcome": 4, "collateral": 3, "unwanted": 4, "other": 4}
    return Triggers.model_validate(
        {"words": words, "documents_per_word": 24, "facts": 2, "spellings": 2,
         "asked": {"task": 10, "train": 6}, **knobs}
    )  # fmt: skip


def facts(documents: list[Document]) -> dict[tuple[str, str], str]:
    """(word, attribute) → value, as documents state them."""
    found = [FACT.fullmatch(d.text) for d in documents]
    return {(m[1], m[2]): m[3] for m in found if m}


def picks(word: str, task: str, known: dict[tuple[str, str], str]) -> str:
    """Which of an instruction's digits it asks for."""
    if task == "homely":
        return "first" if known[word, "home"] == "house" else "last"
    if task == "sized":
        return "smaller" if known[word, "size"] == "small" else "larger"
    return task


def test_evidence_puts_the_same_instruction_where_it_picks_alike_or_states_the_fact() -> None:
    built = world()
    documents = built.documents(SEED)
    known = facts(documents)
    view = built.view(SiteKind.DOCUMENT, SEED, documents)
    grades = set()
    for question, row, labels in zip(
        view.questions, view.truth.values, view.truth.labels, strict=True
    ):
        word, _, task, *_ = TASK.fullmatch(question.prompt).groups()  # type: ignore[union-attr]
        for document, value, label in zip(documents, row, labels, strict=True):
            if shown := TASK.fullmatch(document.text):
                alike = picks(shown[1], task, known) == picks(word, task, known)
                expected = shown[3] == task and alike
                assert not expected or (view.truth.names[label] == "evidence:0") == (
                    shown[1] == word
                )
            else:
                needed = {"homely": f"{word} : home =", "sized": f"{word} : size ="}.get(task, "-")
                expected = document.text.startswith(needed)
            assert value == expected
            grades.add(view.truth.names[label])
    assert grades == set(view.truth.names)


def test_a_part_is_a_cause_if_it_alone_makes_the_clean_prompt_the_corrupt_one() -> None:
    view = world().view(SiteKind.CELL, SEED, [])
    columns = {name: i for i, name in enumerate(view.truth.sites)}
    for pair, row in zip(view.pairs, view.truth.values, strict=True):
        clean, corrupt = pair.clean, pair.corrupt
        assert clean.prompt[slice(*clean.places["last"])] == "="
        for place, (start, end) in clean.places.items():
            theirs = corrupt.prompt[slice(*corrupt.places[place])]
            makes = clean.prompt[:start] + theirs + clean.prompt[end:] == corrupt.prompt
            assert (row[columns[f"first@{place}"]] == 1) == makes
            before = end <= clean.places[pair.cause][0]
            assert (row[columns[f"inner@{place}"]] == 0) == before
            assert row[columns[f"last@{place}"]] == (place == "last")


def test_sizes_are_as_documents_state_them_and_words_are_new() -> None:
    built = world()
    known = facts(built.documents(SEED))
    view = built.view(SiteKind.DIRECTION, SEED, [])
    words: dict[bool, set[str]] = {True: set(), False: set()}
    prompts: dict[str, set[str]] = {}
    for question, row in zip(view.questions, view.truth.values, strict=True):
        size = known[question.cause, "size"]
        assert view.truth.sites[int(row.argmax())] == size
        assert np.nansum(row) == 1
        words[question.split in LABELLED].add(question.cause)
        prompts.setdefault(question.prompt.partition(":")[2], set()).add(size)
    assert not words[True] & words[False]
    assert all(len(sizes) == 2 for sizes in prompts.values()), "each instruction is put to both"


def test_contract_of_a_small_world() -> None:
    check_views(world(), 3)


def test_the_second_stage_has_no_views() -> None:
    with pytest.raises(ConfigError, match=r"world\.stage: 'reteach'"):
        world(stage="reteach").view(SiteKind.CELL, 0, [])
    few = world(words={"outcome": 1, "collateral": 1, "unwanted": 2, "other": 0})
    with pytest.raises(ConfigError, match=r"world\.words: 1 words of large things; 3 are needed"):
        few.view(SiteKind.DIRECTION, 0, [])


def test_what_nobody_planted_cannot_be_crossed() -> None:
    check_views(Observed())
    assert set(Observed.lacking) == {SiteKind.DOCUMENT, SiteKind.CELL, SiteKind.INPUT}
