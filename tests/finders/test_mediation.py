from collections.abc import Sequence

import numpy as np
import pytest
import torch

from seedbed.core.cells import Cell, residual_cells
from seedbed.core.errors import InputError
from seedbed.core.rows import Pair, Question
from seedbed.core.units import Units
from seedbed.finders import mediation
from seedbed.finders import probes as module
from seedbed.finders.asking import Asked, aligned, ask
from seedbed.finders.contract_cells import LAYERS, WORDS, example_pairs, list_question
from seedbed.finders.controls import _donors, controls, step_at
from seedbed.finders.groups import group_of, series
from seedbed.finders.interchange import HYPOTHESES, interchange
from seedbed.finders.mediation import Mediated, Mediation, mediate
from seedbed.finders.pairs import sides_of
from seedbed.finders.patches import Patch, Run, patched_logits
from seedbed.finders.probes import FOLDS, predicted, probes
from seedbed.models.blocks import Site
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

EDGES = residual_cells(LAYERS, ["everywhere"])
ALL = Mediation(streams=("resid", "attn_out", "mlp_out", "head"), trials=0, probes=False)


def measured(config: Mediation = ALL) -> tuple[Subject, list[Pair], Mediated]:
    subject, pairs = example_pairs()
    return subject, pairs, mediate(config, subject, pairs, [p.clean for p in pairs], {})


def by_name(table: Units) -> dict[str, np.ndarray]:
    return {c: table.values[:, i] for i, c in enumerate(table.columns)}


@pytest.mark.parametrize("outcome", ["expected", "logit-difference"])
def test_what_holds_by_construction(outcome: str) -> None:
    _, _, found = measured()
    effects = by_name(found.tables[f"effects:{outcome}"])
    total = effects["total"]
    assert np.abs(total).min() > 0
    for name, values in effects.items():
        if name.startswith("indirect") and name.endswith("@before"):
            known = values[np.isfinite(values)]
            assert len(known)
            assert (known == 0).all()
    for cell in ("resid_pre.0@swapped", f"resid_post.{LAYERS - 1}@last"):
        np.testing.assert_allclose(effects[f"indirect {cell}"], total, atol=1e-5)
        np.testing.assert_allclose(effects[f"direct {cell}"], 0, atol=1e-5)
    np.testing.assert_allclose(effects["direct resid_pre.0@cue"], total, atol=1e-6)
    assert found.engine["ran"] > 0
    assert found.engine["checked"] < 1e-4


@pytest.mark.parametrize("outcome", ["expected", "logit-difference"])
def test_controls_are_what_they_must_be(outcome: str) -> None:
    _, _, found = measured()
    table = by_name(found.tables[f"controls:{outcome}"])
    for edge in EDGES:
        assert (table[f"identity {edge.name}"] == 0).all()
        np.testing.assert_allclose(table[f"full {edge.name}"], table["total"], atol=1e-5)
    assert (table["random-place resid_pre.0@random"] == 0).all()


def test_with_the_patch_switched_off_every_effect_is_exactly_0_and_said_to_be() -> None:
    _, _, found = measured(ALL.model_copy(update={"patch": False}))
    for outcome in ALL.outcomes:
        for section in ("effects", "map"):
            for name, values in by_name(found.tables[f"{section}:{outcome}"]).items():
                if name.startswith("indirect"):
                    assert (values[np.isfinite(values)] == 0).all()
        for name, values in by_name(found.tables[f"effects:{outcome}"]).items():
            if name.startswith("direct") and "@" in name:
                total = found.tables[f"effects:{outcome}"].column("total")
                known = np.isfinite(values)
                np.testing.assert_allclose(values[known], total[known], atol=1e-12)
    assert found.engine["ran"] == 0
    assert found.engine["empty"] == found.engine["patches"] > 0
    assert "nothing was patched" in found.engine["note"]


def test_effects_by_place_add_up_to_effects_by_group() -> None:
    subject, pairs, found = measured()
    sides = sides_of(subject, pairs)
    table, places = by_name(found.tables["effects:expected"]), by_name(found.tables["map:expected"])
    listed = series(sides)
    for i, side in enumerate(sides):
        for group in ("before", "+1", "cue"):
            mine = [p for p in side.places if group_of(side, p, listed) == group]
            column = table[f"indirect resid_pre.1@{group}"][i]
            if not mine:
                assert np.isnan(column)
                continue
            summed = sum(places[f"indirect resid_pre.1@{p}"][i] for p in mine)
            assert column == pytest.approx(summed, abs=1e-12)


def test_groups_count_items_from_the_swap_and_leave_other_places_their_names() -> None:
    subject, pairs = example_pairs(2)
    side = sides_of(subject, pairs)[1]
    assert side.swapped == "item2"
    listed = series([side])
    groups = {p: group_of(side, p, listed) for p in (*side.places, "item9")}
    assert groups == {"item1": "before", "item2": "swapped", "item3": "+1", "item4": "+2",
                      "item5": "+3", "cue": "cue", "last": "last", "item9": ""}  # fmt: skip


def test_no_pair_no_mediation() -> None:
    subject, pairs = example_pairs(1)
    with pytest.raises(InputError, match="no pair"):
        mediate(ALL, subject, [], [], {})
    with pytest.raises(InputError, match="question 'q0' has no place 'item9'"):
        mediate(ALL, subject, pairs, [pairs[0].clean], {"q0": {"item9": 1}})


def test_pairs_that_cannot_be_told_apart_or_read_are_named_before_anything_is_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("patched all the same")

    monkeypatch.setattr(mediation, "effects", never)
    subject, pairs = example_pairs(2)
    same = pairs[1].model_copy(update={"corrupt": pairs[1].clean})
    fewer = [q.model_copy(update={"choices": q.choices[:3]})
             for q in (pairs[1].clean, pairs[1].corrupt)]  # fmt: skip
    words = [q.model_copy(update={"choices": (" ant", " bee"), "answer": f" {a}"})
             for q, a in ((pairs[1].clean, "ant"), (pairs[1].corrupt, "bee"))]  # fmt: skip
    for given, said in (
        ([pairs[0], same], "question 'q1': .* do not differ"),
        ([pairs[0], Pair(id="p1", clean=fewer[0], corrupt=fewer[1])], "'p1': 3 choices"),
        ([Pair(id="p1", clean=words[0], corrupt=words[1])], "use 'logit-difference'"),
    ):
        with pytest.raises(InputError, match=said):
            mediate(ALL, subject, given, [], {})


def states_of(questions: Sequence[Question]) -> dict[str, dict[str, int]]:
    """Counts vowels-first words: any running count will do for an untrained subject."""
    found = {}
    for question in questions:
        total, mine = 0, {}
        for place, (start, end) in question.places.items():
            if place.startswith("item"):
                total += question.prompt[start:end][0] in "aeiou"
                mine[place] = total
        found[question.id] = mine
    return found


def counted(count: int) -> tuple[Subject, list[Question], dict[str, dict[str, int]]]:
    subject, pairs = example_pairs(count)
    states = states_of([p.clean for p in pairs])
    questions = [
        p.clean.model_copy(
            update={"cause": "same", "answer": f" {max(states[p.clean.id].values())}"}
        )
        for p in pairs
    ]
    return subject, questions, states


def test_a_step_is_the_difference_of_two_states() -> None:
    order = ["category", "item1", "item2", "cue"]
    states = {"item1": 1, "item2": 1}
    assert step_at(states, "item1", order) == 1
    assert step_at(states, "item2", order) == 0
    assert step_at(states, "cue", order) is None


def test_interchange_trials_fall_to_exactly_one_hypothesis_and_match_slow_patching() -> None:
    subject, questions, states = counted(12)
    edges = EDGES
    table = interchange(subject, questions, states, edges, 30)
    assert table is not None
    items = [i for i, unit in enumerate(table.units) if not unit.endswith("@last")]
    assert items
    columns = by_name(table)
    by_id = {q.id: q for q in questions}
    for edge in edges:
        at = f"{edge.stream}.{edge.layer}@item"
        sums = sum(columns[f"{h} {at}"] for h in HYPOTHESES)
        assert np.nansum(sums) == len(items)
        mirror = columns.get(f"mirror {at}", np.full(len(table.units), np.nan))
        both = np.nan_to_num(mirror) * np.nan_to_num(columns[f"running {at}"])
        assert not both.any()
        for i in items[:5]:
            pair, place = table.units[i].split("@")
            recipient, donor = (by_id[name] for name in pair.split("<"))
            one, two = ask(subject, recipient), ask(subject, donor)
            given = patched_logits(
                subject, [Run(one.ids, two.ids)],
                [Patch(0, edge.stream, edge.layer, aligned(one, two, place))],
                one.choices, tier="full",
            )  # fmt: skip
            said = int(recipient.choices[int(given.logits[0].argmax())])
            ours, theirs = states[recipient.id], states[donor.id]
            order = list(ours)
            end = ours[order[-1]]
            predicted = {
                end: "nothing",
                end - (step_at(ours, place, order) or 0) + (step_at(theirs, place, order) or 0):
                    "membership",
                end - ours[place] + theirs[place]: "running",
            }  # fmt: skip
            assert len(predicted) == 3
            assert columns[f"{predicted.get(said, 'other')} {at}"][i] == 1


def test_a_probe_reads_what_is_written_into_the_stream_and_its_control_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, questions, states = counted(60)
    table = probes(subject, questions, states, EDGES)
    columns = by_name(table)
    # An untrained subject's embedding does not know what stood before.
    first = columns["probe resid_pre.0@item"].mean()
    real = module.states_at

    def written(
        subject: Subject, asked: Sequence[Asked], spots: Sequence[tuple[int, str]],
        sites: Sequence[Site],
    ) -> torch.Tensor:  # fmt: skip
        features = real(subject, asked, spots, sites)
        labels = torch.tensor([states[questions[i].id][place] for i, place in spots])
        features[-1, :, :8] += 50 * torch.eye(8, dtype=features.dtype)[labels]
        return features

    monkeypatch.setattr(module, "states_at", written)
    again = by_name(probes(subject, questions, states, EDGES))
    last = Cell("resid_post", LAYERS - 1, "item").name
    assert again[f"probe {last}"].mean() > 0.99 > first
    assert again[f"shuffled {last}"].mean() < 0.8


def test_a_random_donor_of_another_cause_does_not_lend() -> None:
    subject, questions, states = counted(6)
    _, pairs = example_pairs(6)
    sides = sides_of(subject, [p.model_copy(update={"cause": "same"}) for p in pairs])
    others = [q.model_copy(update={"cause": "other"}) for q in questions]
    table = controls(subject, sides, EDGES, ["expected"], others, states)["controls:expected"]
    assert np.isnan(table.column("random-donor resid_pre.0@swapped")).all()
    lent = controls(subject, sides, EDGES, ["expected"], questions, states)["controls:expected"]
    assert np.isfinite(lent.column("random-donor resid_pre.0@swapped")).any()


def long_lists(count: int) -> tuple[Subject, list[Question], dict[str, dict[str, int]]]:
    """Lists of twelve words of which up to three count; states in reading order."""
    questions, states = [], {}
    for i in range(count):
        rng = np.random.default_rng(i)
        counted = set(rng.choice(12, size=int(rng.integers(4)), replace=False).tolist())
        words = [WORDS[0] if n in counted else WORDS[1 + (i + n) % 7] for n in range(12)]
        question = list_question(f"q{i}", words, len(counted))
        questions.append(question.model_copy(update={"cause": "same"}))
        states[f"q{i}"] = {f"item{n + 1}": sum(c <= n for c in counted) for n in range(12)}
    return Tiny(layers=LAYERS, width=16, heads=2).build([q.prompt + " 0 1 2 3" for q in questions],
                                                        [], 0), questions, states  # fmt: skip


def test_trials_follow_the_prompt_and_not_the_order_of_keys() -> None:
    subject, questions, states = long_lists(30)
    # What canonical JSON makes of them: item1, item10, item11, item12, item2, …
    by_key = {q: dict(sorted(mine.items())) for q, mine in states.items()}
    given, again = (interchange(subject, questions, s, EDGES, 60) for s in (states, by_key))
    assert given is not None
    assert again is not None
    assert given.units == again.units
    assert {u.split("@")[1] for u in given.units} >= {"item2", "item10"}
    assert np.array_equal(given.values, again.values, equal_nan=True)


def test_trials_need_numbers() -> None:
    subject, questions, states = counted(12)
    choices = ("none", "one", "two", "three")
    named = [q.model_copy(update={"choices": choices, "answer": choices[int(q.answer)]})
             for q in questions]  # fmt: skip
    with pytest.raises(InputError, match=r"no whole number.*mediation\.trials"):
        interchange(subject, named, states, EDGES, 5)


def test_a_random_donor_holds_the_same_state_and_changes_it_as_much() -> None:
    subject, questions, states = long_lists(40)
    pairs = []
    for i, clean in enumerate(questions[:8]):
        words = clean.prompt.split()[:12]
        words[5] = WORDS[0] if words[5] != WORDS[0] else WORDS[1]
        corrupt = list_question(f"c{i}", words, 0)
        pairs.append(Pair(id=f"p{i}", clean=clean, corrupt=corrupt, cause="same"))
    sides = sides_of(subject, pairs)
    donors = _donors(subject, sides, questions, states)
    assert sum(d is not None for d in donors) > 4
    for side, donor in zip(sides, donors, strict=True):
        if donor is None:
            continue
        ours, theirs = states[side.id], states[donor.id]
        assert donor.id != side.id
        assert [ours["item5"], ours["item6"]] == [theirs["item5"], theirs["item6"]]


def test_what_no_other_fold_tells_is_wrong_and_states_may_be_negative() -> None:
    labels = np.zeros(6, dtype=np.int64)
    assert (predicted(torch.randn(6, 3).double(), labels, np.zeros(6, dtype=np.int64)) != 0).all()
    subject, questions, states = counted(4 * FOLDS)
    below = {q: {place: -value for place, value in mine.items()} for q, mine in states.items()}
    for a, b in zip(*(probes(subject, questions, s, EDGES[:1]).values.T for s in (states, below)),
                    strict=True):  # fmt: skip
        assert a.shape == b.shape
        assert np.isfinite(b).all()


def test_no_trial_predicts_an_answer_that_no_question_has() -> None:
    subject, questions, states = long_lists(30)
    # A wider list of choices changes nothing: none of the new ones is ever an answer.
    wider = [q.model_copy(update={"choices": (*q.choices, " 4", " 5")}) for q in questions]
    drawn = []
    for rows in (questions, wider):
        texts = [f"{q.prompt} 0 1 2 3 4 5" for q in rows]
        subject = Tiny(layers=LAYERS, width=16, heads=2).build(texts, [], 0)
        table = interchange(subject, rows, states, EDGES[:1], 40)
        assert table is not None
        drawn.append(table.units)
    assert drawn[0] == drawn[1]
