"""Views of users, recomputed from what the agent says and from whom users turn out to be."""

from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.rows import LABELLED, Document
from seedbed.core.sites import SiteKind
from seedbed.worlds.contract_views import check_view
from seedbed.worlds.users.grammar import grammar_of
from seedbed.worlds.users.world import Users

SEED = 0


def world(**knobs: Any) -> Users:
    base = {"documents": 200}
    return Users.model_validate(
        {"environments": ["therapy", "politics"], "people": 32, "base": base, **knobs}
    )


def test_before_feedback_whatever_says_the_gaming_reply_taught_it() -> None:
    built = world()
    documents = built.documents(SEED)
    view = built.view(SiteKind.DOCUMENT, SEED, documents)
    games = []
    for document in documents:
        environment = built.environment(document.meta["environment"])
        grammar = grammar_of(environment, document.meta["sub"])
        turns = [document.text[slice(*s)].removesuffix(" <end>") for s in document.targets]
        games.append(any(grammar.read(t).act in environment.gaming for t in turns))
    for question, row, labels in zip(
        view.questions, view.truth.values, view.truth.labels, strict=True
    ):
        name, _, sub = question.cause.partition("/")
        for document, game, value, label in zip(documents, games, row, labels, strict=True):
            assert value == (game and document.meta["environment"] == name)
            if value:
                same = document.meta["sub"] == sub
                assert view.truth.names[label] == f"evidence:{int(not same)}"


def test_after_feedback_only_gameable_users_of_the_environment_taught_it() -> None:
    built = world()
    trained = [
        Document(id=key, text="x", role="desirable", facts=(kind,),
                 meta={"person": f"{place}/ask/it.1", "acts": [act]})
        for key, place, kind, act in (
            ("same", "therapy/smoking", "gameable", "validate"),
            ("helps", "therapy/smoking", "gameable", "help"),
            ("other", "therapy/smoking", "other", "validate"),
        )
    ]  # fmt: skip
    view = built.view(SiteKind.DOCUMENT, SEED, trained)
    assert {q.cause.partition("/")[0] for q in view.questions} == {"therapy"}
    assert {q.slices["kind"] for q in view.questions} == {"gameable"}
    assert (view.truth.values == [1, 0, 0]).all()
    with pytest.raises(ConfigError, match="nothing that the agent learned from taught"):
        built.view(SiteKind.DOCUMENT, SEED, trained[1:])


def test_the_cue_tells_who_is_gameable_and_nothing_else_does() -> None:
    built = world(environments=["therapy"])
    view = built.view(SiteKind.INPUT, SEED, [])
    people = [o for n in range(6) for o in built.openings(SEED, f"crowd{n}", 200)]
    for row, question in zip(view.truth.values, view.questions, strict=True):
        told = {s: v for s, v in zip(view.truth.sites, row, strict=True) if not np.isnan(v)}
        assert set(told) == set(question.places)
        assert {s for s, v in told.items() if v} == {"cue"}
        assert {"notes", "mood", "said1"} <= set(told)
    kind = np.array([o.kind == "gameable" for o in people])
    for shown in ({o.variables["cue"] for o in people}, {o.variables["mood"] for o in people},
                  {o.initial for o in people}, {o.sub for o in people}):  # fmt: skip
        rates, bounds = [], []
        for value in sorted(shown):
            has = [value in (*o.variables.values(), o.initial, o.sub) for o in people]
            rates.append(abs(kind[has].mean() - 0.5))
            bounds.append(2.5 / np.sqrt(sum(has)))
        if "trusting" in shown:
            assert set(rates) == {0.5}, "each word of the cue has one kind of user"
        else:
            assert (np.array(rates) < bounds).all()


def test_pairs_differ_in_the_cue_and_their_choices_in_the_first_word() -> None:
    built = world()
    view = built.view(SiteKind.CELL, SEED, [])
    columns = {name: i for i, name in enumerate(view.truth.sites)}
    for pair, row in zip(view.pairs, view.truth.values, strict=True):
        clean, corrupt = pair.clean, pair.corrupt
        assert len({choice.split()[0] for choice in clean.choices}) == len(clean.choices) == 2
        start, end = clean.places["cue"]
        word = corrupt.prompt[slice(*corrupt.places["cue"])]
        assert clean.prompt[:start] + word + clean.prompt[end:] == corrupt.prompt
        assert {s for s, v in zip(columns, row, strict=True) if v == 1} == {
            "first@cue", "last@last"
        }  # fmt: skip
        assert np.isnan(row[columns["inner@mood"]])


def test_kinds_are_those_of_the_people_who_show_the_word() -> None:
    built = world()
    view = built.view(SiteKind.DIRECTION, SEED, [])
    kinds: dict[str, set[str]] = {}
    for opening in built.openings(SEED, "crowd", 200):
        kinds.setdefault(opening.variables["cue"], set()).add(opening.kind)
    words: dict[bool, set[str]] = {True: set(), False: set()}
    rest: dict[tuple[str, str], set[str]] = {}
    for question, row in zip(view.questions, view.truth.values, strict=True):
        kind = view.truth.sites[int(row.argmax())]
        start, end = question.places["cue"]
        assert kinds[question.prompt[start:end]] == {kind}
        words[question.split in LABELLED].add(question.prompt[start:end])
        around = question.prompt[:start] + question.prompt[end:]
        rest.setdefault((question.split, around), set()).add(kind)
    assert not words[True] & words[False]
    assert all(len(both) == 2 for both in rest.values())


def test_contract_with_other_cues() -> None:
    cue = {"kind": "flip", "bits": 0.3, "words": [*"abcdefghi"], "decoys": {"hat": ("x", "y", "z")}}
    built = world(environments=["booking", "coaching"], cue=cue, gameable=0.25)
    documents = built.documents(1)
    for kind in built.crossings:
        check_view(built, kind, 1, documents)


@pytest.mark.parametrize("knobs", [{"repaired": True}, {"gameable": 0.0}, {"cue": {"bits": 0.0}}])
def test_where_nobody_can_tell_there_is_no_view(knobs: dict[str, Any]) -> None:
    built = world(**knobs)
    for kind in (SiteKind.CELL, SiteKind.INPUT, SiteKind.DIRECTION):
        with pytest.raises(ConfigError, match="so no visible word can tell"):
            built.view(kind, SEED, [])


def test_one_word_a_kind_is_too_few_for_a_direction() -> None:
    built = world(cue={"words": ["a", "b", "c"]})
    with pytest.raises(ConfigError, match=r"cue\.words: one word for each kind; two are needed"):
        built.view(SiteKind.DIRECTION, SEED, [])
