"""Directions on subjects whose direction is known, and on those that have none."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.cells import Cell
from seedbed.core.directions import DirectionClaim
from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.seeds import stream
from seedbed.finders import contract_directions, kept
from seedbed.finders.contract_directions import (
    CLASSES,
    WORDS,
    check_direction_finder,
    example_questions,
)
from seedbed.finders.directions import MEASURES, DirectionFinder
from seedbed.finders.fitting import METHODS, SHRINKAGE, Labelled, fitted, mass_mean
from seedbed.finders.placement import auc
from seedbed.finders.states import Held, Sweep, held, spotted
from seedbed.finders.told import told
from seedbed.models.hrm import Hrm
from seedbed.models.logits import logits_at
from seedbed.models.recurrent import Recurrent
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import TokenSequence, pad

WIDTH = 16


def _claims(
    subject: Subject, questions: Sequence[Question], *measures: str, sweep: Sweep | None = None
) -> dict[str, DirectionClaim]:
    finder = DirectionFinder(measure=measures, sweep=sweep or Sweep())
    claims = finder.find_all(subject, [], questions, [])
    names = [v.name for v in finder.variants()]
    return {n: c for n, c in zip(names, claims, strict=True) if isinstance(c, DirectionClaim)}


def _planted(count: int = 60) -> tuple[Subject, list[Question], torch.Tensor]:
    """The embeddings of one class's words moved along a known vector of length 1."""
    subject, questions = example_questions(count)
    vector = torch.randn(WIDTH, generator=torch.Generator().manual_seed(3))
    vector /= vector.norm()
    table = subject.model.get_input_embeddings().weight
    with torch.no_grad():
        for word in WORDS["stored"]:
            table[subject.tokenizer.convert_tokens_to_ids(word)] += vector
    return subject, questions, vector


def _kinds(questions: Sequence[Question]) -> dict[str, str]:
    return {
        q.id: next(c for c in CLASSES if q.prompt[slice(*q.places["name"])] in WORDS[c])
        for q in questions
    }


def _test_auc(claim: DirectionClaim, questions: Sequence[Question], kinds: dict[str, str]) -> float:
    rows = [i for i, q in enumerate(questions) if not q.label]
    scores = claim.scores[rows, 1].astype(np.float64)
    return auc(scores, np.array([kinds[questions[i].id] == "stored" for i in rows]))


def _without_cause(count: int, seed: int) -> tuple[Subject, list[Question], dict[str, str]]:
    """The same prompts with classes that were drawn, whatever is asked."""
    subject, questions = example_questions(count)
    rng = stream(seed, "no cause")
    kinds = {q.id: rng.choice(CLASSES) for q in questions}
    drawn = [q.model_copy(update={"label": kinds[q.id]}) if q.label else q for q in questions]
    return replace(subject, seed=seed), drawn, kinds


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_keeps_the_contract(measure: str) -> None:
    check_direction_finder(DirectionFinder(measure=measure))


@pytest.mark.parametrize("kind", ["tiny", "recurrent", "hrm"])
def test_means_over_tokens_keep_the_contract_in_every_family(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: dict[str, Any] = {"width": WIDTH, "heads": 2}
    made = {"tiny": Tiny(layers=2, **sizes), "recurrent": Recurrent(recurrences=2, **sizes),
            "hrm": Hrm(**sizes)}[kind]  # fmt: skip
    monkeypatch.setattr(contract_directions, "Tiny", lambda **_: made)
    check_direction_finder(DirectionFinder(sweep=Sweep(places=("mean", "name"))))


def test_a_planted_direction_is_found() -> None:
    subject, questions, vector = _planted()
    claims = _claims(subject, questions, "difference", "probe", "mass-mean", "random", "shuffled")
    cosine = {}
    for name, claim in claims.items():
        assert claim.directions is not None
        row = claim.directions.at("resid_pre.0@name")
        cosine[name] = float(claim.directions.vectors[row] @ vector.numpy())
        if name == "difference":
            assert claim.directions.spread[row] == pytest.approx(1, abs=0.1)
    assert min(cosine[n] for n in ("difference", "probe", "mass-mean")) > 0.9
    assert max(abs(cosine[n]) for n in ("random",)) < 0.7
    kinds = _kinds(questions)
    for name in ("difference", "probe", "mass-mean"):
        assert _test_auc(claims[name], questions, kinds) == 1
        assert Cell.parse(claims[name].notes["site"]).place == "name"


def test_what_tells_nothing_is_found_nowhere() -> None:
    measures = ("difference", "probe", "mass-mean", "shuffled", "surface", "words")
    marks: dict[str, list[float]] = {m: [] for m in measures}
    for seed in range(12):
        subject, questions, kinds = _without_cause(120, seed)
        for name, claim in _claims(subject, questions, *measures).items():
            marks[name].append(_test_auc(claim, questions, kinds))
    for name, found in marks.items():
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found) - 0.5) < 3 * error + 1e-9, (name, found)


def test_random_and_shuffled_directions_read_nothing_over_draws() -> None:
    subject, questions, _ = _planted()
    kinds = _kinds(questions)
    asked = [q for q in questions if not q.label]
    site = Sweep(places=("name",), layers=(1,), streams=("resid_pre",))
    marks: dict[str, list[float]] = {"random": [], "shuffled": [], "difference": []}
    for seed in range(24):
        claims = _claims(replace(subject, seed=seed), questions, *marks, sweep=site)
        given = {n: c.directions for n, c in claims.items() if c.directions is not None}
        table = told(subject, given, asked, kinds)["decodable:all"]
        for name, found in marks.items():
            found.append(float(table.column(f"auc|{name}|resid_pre.1@name|").mean()))
    assert min(marks["difference"]) > 0.99
    for name in ("random", "shuffled"):
        error = np.std(marks[name], ddof=1) / np.sqrt(len(marks[name]))
        assert abs(np.mean(marks[name]) - 0.5) < 3 * error, marks[name]


def test_dev_chooses_and_does_not_fit() -> None:
    subject, questions = example_questions(60)
    other = {"stored": "computed", "computed": "stored"}
    turned = [q.model_copy(update={"label": other[q.label]}) if q.split == "dev" else q
              for q in questions]  # fmt: skip
    for measure in ("difference", "mass-mean", "shuffled", "random"):
        (a,), (b,) = (_claims(subject, some, measure).values() for some in (questions, turned))
        assert a.directions is not None
        assert b.directions is not None
        assert np.array_equal(a.directions.vectors, b.directions.vectors)
        assert np.array_equal(a.directions.middle, b.directions.middle)


def test_mass_mean_is_the_inverse_covariance_times_the_difference() -> None:
    own = torch.Generator().manual_seed(0)
    for n, width in ((30, 6), (8, 20)):
        x = torch.randn(2, n, width, generator=own, dtype=torch.float64)
        apart = torch.randn(2, width, generator=own, dtype=torch.float64)
        for site, found in enumerate(mass_mean(x, apart)):
            covariance = x[site].T @ x[site] / n
            sphere = covariance.trace() / width * torch.eye(width, dtype=torch.float64)
            shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * sphere
            assert torch.allclose(shrunk @ found, apart[site], atol=1e-9)


def test_states_on_disk_give_the_same_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, questions, _ = _planted()
    held_ = _claims(subject, questions, "difference", "probe")
    monkeypatch.setattr(kept, "HELD", 0)
    for name, claim in _claims(subject, questions, "difference", "probe").items():
        assert np.array_equal(claim.scores, held_[name].scores)


def test_recurrences_are_sites_of_their_own() -> None:
    _, questions = example_questions(60)
    texts = [q.prompt + c for q in questions for c in q.choices]
    subject = Recurrent(width=16, heads=2).build(texts, [], 0)
    (claim,) = _claims(subject, questions, "difference").values()
    assert claim.directions is not None
    cells = [Cell.parse(site) for site in claim.directions.sites]
    steps = {c.step for c in cells if c.layer == 1}
    assert len(steps) > 1
    assert None not in steps
    states = held(subject, questions[:3], [c for c in cells if c.layer == 1][-6:])
    assert len({states.at(c).numpy().tobytes() for c in states.cells}) == 6
    assert _test_auc(claim, questions, _kinds(questions)) > 0.9


def test_surface_sees_tokens_and_no_more() -> None:
    subject, questions = example_questions(240)
    odd = {w for words in WORDS.values() for w in words[::2]}
    kinds = {}
    for q in questions:
        name, other = (q.prompt[slice(*q.places[p])] for p in ("name", "other"))
        kinds[q.id] = CLASSES[(name in odd) != (other in odd)]
    hidden = [q.model_copy(update={"label": kinds[q.id]}) if q.label else q for q in questions]
    seen = _claims(subject, questions, "surface", "words")
    assert _test_auc(seen["surface"], questions, _kinds(questions)) > 0.9
    assert seen["surface"].directions is None
    for claim in _claims(subject, hidden, "surface", "words").values():
        assert abs(_test_auc(claim, hidden, kinds) - 0.5) < 0.25


def test_familiarity_is_the_mean_log_probability_of_the_prompt() -> None:
    subject, questions = example_questions(36)
    claim = _claims(subject, questions, "familiarity")["familiarity"]
    known = []
    for question in questions:
        ids = spotted(subject, question).ids
        batch = pad([TokenSequence(ids, (False,) * len(ids))])
        with torch.no_grad():
            logits = logits_at(subject.model, batch, batch.mask.bool()).double().log_softmax(-1)
        known.append(float(logits[range(len(ids) - 1), ids[1:]].mean()))
    slope, start = np.polyfit(known, claim.scores[:, 1], 1)
    assert np.allclose(slope * np.array(known) + start, claim.scores[:, 1], atol=1e-3)


@pytest.mark.parametrize(
    ("drop", "said"),
    [
        (lambda q: q.label == "stored", "found 'computed'"),
        (lambda q: q.split == "dev" and q.label == "stored", "split 'dev' labelled 'stored'"),
        (lambda q: q.split == "train", "at least 4 questions of split 'train'"),
        (lambda q: bool(q.label), "found none"),
    ],
)
def test_unfit_examples_are_refused_in_one_line(drop: object, said: str) -> None:
    subject, questions = example_questions(36)
    assert callable(drop)
    with pytest.raises(InputError, match=said) as caught:
        _claims(subject, [q for q in questions if not drop(q)], "difference")
    assert "\n" not in str(caught.value)


def test_classes_that_never_differ_are_refused() -> None:
    subject, questions = example_questions(36)
    same = [q.model_copy(update={"prompt": questions[0].prompt, "places": questions[0].places})
            for q in questions]  # fmt: skip
    with pytest.raises(InputError, match="the same at every cell"):
        _claims(subject, same, *METHODS)


def test_streams_of_unequal_width_are_refused() -> None:
    subject, questions = example_questions(36)
    with pytest.raises(InputError, match=r"sweep\.streams: .*'head'.* differ in width"):
        _claims(subject, questions, "difference", sweep=Sweep(streams=("resid_pre", "head")))
    claims = _claims(subject, questions, "difference", sweep=Sweep(streams=("head",)))
    assert claims["difference"].notes["site"].startswith("head.")


def test_a_state_of_dev_that_is_not_finite_is_refused() -> None:
    cell, y = Cell("resid_pre", 0, "last"), torch.tensor([0.0, 1.0] * 4)
    states = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    rows = torch.arange(16)
    names = tuple(str(i) for i in range(16))
    for row in (0, 15):
        broken = states.clone()
        broken[row, 1] = torch.nan
        data = Labelled(Held(names, (cell,), {cell: broken}), rows[:8], y, rows[8:], y)
        with pytest.raises(InputError, match=r"resid_pre\.0@last: .* not finite"):
            fitted("difference", data, 0, (1.0,))


def test_states_that_overflow_are_refused_by_name() -> None:
    subject, questions = example_questions(36)
    with torch.no_grad():
        subject.model.model.layers[0].mlp.down_proj.weight.fill_(torch.inf)
    with pytest.raises(InputError, match=r"resid_pre\.1@name: .* not finite"):
        _claims(subject, questions, "difference")


@pytest.mark.parametrize(
    ("measure", "words"),
    [("differnce", "did you mean 'difference'?"), (["probe", "zzz"], "there are: difference,")],
)
def test_an_unknown_measure_is_named(measure: Any, words: str) -> None:
    with pytest.raises(ValueError, match="there is no measure") as error:
        DirectionFinder(measure=measure)
    assert words in str(error.value)
