import re
from collections.abc import Callable, Sequence
from dataclasses import replace as changed

import numpy as np
import pytest
import torch

from seedbed.core.config import validate
from seedbed.core.errors import ConfigError, InputError
from seedbed.core.rows import Document, Question
from seedbed.core.sites import Floats as Scores
from seedbed.finders import ablation
from seedbed.finders.ablation import Ablation
from seedbed.finders.part_effects import Floats, PartMeasure, effect
from seedbed.finders.part_length import PartLength
from seedbed.measuring import choices
from seedbed.measuring.choices import ChoiceScores
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import encode_choice
from seedbed.scoring.ranking import chance, per_question
from seedbed.worlds.quadrants.plane import regions
from seedbed.worlds.quadrants.world import Quadrants

Taught = tuple[Subject, list[Question]]
Untaught = Callable[[int], tuple[Subject, list[Document], list[Question]]]
EVERY: tuple[PartMeasure, ...] = ("flip", "drop", "any")


def precision(scores: Scores, sites: Sequence[str]) -> float:
    """Mean average precision where the first digit alone decides."""
    positive = np.tile([s == "first" for s in sites], (len(scores), 1))
    known = np.ones_like(positive)
    return float(per_question("average_precision", scores, positive, known).mean())


@pytest.mark.parametrize("method", ["swap", "sweep"])
def test_the_part_that_decides_is_found(taught: Taught, method: str) -> None:
    subject, questions = taught
    finder = Ablation.model_validate({"method": method, "measure": EVERY, "draws": 20})
    claims = finder.find_all(subject, [], questions, [])
    for claim in claims:
        assert precision(claim.scores, claim.sites) == 1
    # Of nine other digits five are on the other side; nothing else matters at all.
    flips = dict(zip(claims[0].sites, claims[0].scores.T, strict=True))
    assert flips.pop("first") == pytest.approx(5 / 9)
    assert all((column == 0).all() for column in flips.values())
    assert (claims[2].scores[:, claims[2].sites.index("first")] > 0.5).all()
    assert (np.delete(claims[2].scores, claims[2].sites.index("first"), axis=1) < 0.5).all()


def test_removal_of_a_part_that_does_not_matter_changes_nothing(taught: Taught) -> None:
    subject, questions = taught
    claim = Ablation(method="remove", measure="drop").find(subject, [], questions, [])
    mean = dict(zip(claim.sites, claim.scores.mean(axis=0).tolist(), strict=True))
    assert mean["first"] > 10 * abs(mean["word"])


def test_of_answers_that_follow_a_world_it_finds_what_the_world_declares(
    untaught: Untaught, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The world's truth comes from its plane, the finder's from prompts alone: they must agree."""
    world = Quadrants()
    asker, truth = world.asker(0), world.truth(0)
    questions = [q.blind() for q in world.questions(0) if q.split == "id"][:80]

    def answered(_: Subject, asked: Sequence[Question]) -> list[ChoiceScores]:
        return [ChoiceScores(tuple(float(c == label(q.prompt)) for c in q.choices), 0, (), ())
                for q in asked]  # fmt: skip

    def label(prompt: str) -> str:
        parts = re.fullmatch(r"F\[(.+),(.+)\](\w+)=", prompt)
        assert parts is not None
        x1, x2 = (np.array([round(100 * float(parts[k]))]) for k in (1, 2))
        return f" {asker.label(parts[3], int(regions(world.plane, x1, x2)[0])).strip()}"

    monkeypatch.setattr(ablation, "score_choices", answered)
    monkeypatch.setattr(ablation, "readable", lambda _, texts: [True] * len(texts))
    claim = Ablation(method="sweep", measure="any").find(untaught(0)[0], [], questions, [])
    columns = [truth.sites.index(site) for site in claim.sites]
    declared = truth.select(claim.questions).values[:, columns] == 1
    found = claim.scores > 0.5
    assert not (found & ~declared).any()
    # A second value that decides may not have been seen.
    assert (declared & ~found).sum() <= 0.01 * declared.sum()


def test_an_untrained_subject_points_nowhere(untaught: Untaught) -> None:
    """Over several of them, since one of them is sensitive to something by accident."""
    found = []
    for seed in range(12):
        subject, _, questions = untaught(seed)
        claim = Ablation(measure="drop").find(subject, [], questions[:20], [])
        found.append(precision(claim.scores, claim.sites))
    assert abs(np.mean(found) - chance("average_precision", 4, 1)) < 0.2


def test_the_control_does_not_find_it(taught: Taught) -> None:
    subject, questions = taught
    for by in ("length", "first", "last"):
        claim = PartLength.model_validate({"by": by}).find(subject, [], questions, [])
        assert precision(claim.scores, claim.sites) <= 0.5


def test_scores_are_those_of_plain_forward_passes(untaught: Untaught) -> None:
    subject, _, questions = untaught(0)
    # The third choice has two tokens.
    questions = [q.model_copy(update={"choices": (*q.choices, " ant bee")}) for q in questions[:6]]
    claims = Ablation(method="sweep", measure=EVERY).find_all(subject, [], questions, [])

    def asked(prompt: str) -> Floats:
        rows = []
        for choice in questions[0].choices:
            head, tail = encode_choice(subject.tokenizer, prompt, choice, 24)
            with torch.no_grad():
                logits = subject.model(torch.tensor([[*head, *tail]])).logits[0].double()
            said = logits.log_softmax(-1)[len(head) - 1 : -1]
            rows.append(sum(float(row[token]) for row, token in zip(said, tail, strict=True)))
        found: Floats = np.array(rows) - np.logaddexp.reduce(rows)
        return found

    for i, q in enumerate(questions):
        for part, (start, end) in q.places.items():
            seen = {r.prompt[slice(*r.places[part])] for r in questions} - {q.prompt[start:end]}
            after = [asked(q.prompt[:start] + text + q.prompt[end:]) for text in sorted(seen)]
            before = asked(q.prompt)
            own = int(before.argmax())
            wanted = {
                "flip": np.mean([row.argmax() != own for row in after]) if after else 0,
                "drop": np.mean([before[own] - row[own] for row in after]) if after else 0,
                "any": max(
                    [1 / (1 + np.exp(r[own] - np.delete(r, own).max())) for r in after] or [0]
                ),
            }
            for measure, claim in zip(EVERY, claims, strict=True):
                score = claim.scores[i, claim.sites.index(part)]
                assert score == pytest.approx(wanted[measure], abs=1e-5), (part, measure)


def test_draws_do_not_depend_on_the_order_of_questions(untaught: Untaught) -> None:
    subject, _, questions = untaught(1)
    finder = Ablation(draws=3, measure="drop")
    one = finder.find(subject, [], questions, [])
    other = finder.find(subject, [], questions[::-1], [])
    assert one.scores == pytest.approx(other.arranged(one.sites).scores[::-1], abs=1e-5)
    reseeded = finder.find(changed(subject, seed=7), [], questions, [])
    assert not np.allclose(one.scores, reseeded.scores)


def test_each_prompt_is_scored_once(taught: Taught, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, questions = taught
    calls: list[list[str]] = []
    real = choices.score_choices

    def counted(subject: Subject, questions: Sequence[Question]) -> object:
        calls.append([q.prompt for q in questions])
        return real(subject, questions)

    monkeypatch.setattr(ablation, "score_choices", counted)
    claims = Ablation(method="sweep", measure=EVERY).find_all(subject, [], questions, [])
    (prompts,) = calls
    assert len(prompts) == len(set(prompts))
    assert claims[0].notes["scored"].startswith(f"{len(prompts)} prompts, for ")
    assert claims[0].notes["untried"] == (
        "60 of 240 places score 0 for want of another value, among them all of form"
    )
    assert [v.name for v in Ablation(measure=("flip", "any")).variants()] == [
        "ablation-flip", "ablation-any",
    ]  # fmt: skip


def test_what_the_tokenizer_does_not_know_is_left_out_and_counted(taught: Taught) -> None:
    few = taught[1][:4]
    # Without the bracket the two words run into one that nobody has seen.
    joined = [q.model_copy(update={"prompt": f"{q.prompt}ant|bee=", "places": {
        "bar": (len(q.prompt) + 3, len(q.prompt) + 4), "word": q.places["word"]}})
        for q in few]  # fmt: skip
    known = "".join(f"{q.prompt}ant|bee=" for q in few) + " red blue"
    small = Tiny(layers=1, width=16, heads=2).build([known], [], 0)
    claim = Ablation(method="remove").find(small, [], joined, [])
    assert claim.notes["left out"].startswith("4 of 8 substitutions: they hold a token")
    assert (claim.scores[:, claim.sites.index("bar")] == 0).all()
    assert "bar" in claim.notes["untried"]


def test_nothing_is_left_of_a_prompt_that_is_one_part(taught: Taught) -> None:
    subject, questions = taught
    whole = questions[0].model_copy(update={"places": {"all": (0, len(questions[0].prompt))}})
    claim = Ablation(method="remove").find(subject, [], [whole, questions[1]], [])
    assert claim.notes["left out"].startswith("1 of 5 substitutions")
    assert claim.scores[0].tolist() == [0] * 5


def test_a_sweep_has_an_end(taught: Taught) -> None:
    subject, questions = taught
    few = Ablation(method="sweep", most=2).find(subject, [], questions, [])
    assert int(few.notes["scored"].split()[-2]) == 60 * 3 * 2


def test_what_cannot_be_drawn_from_is_refused(taught: Taught) -> None:
    subject, questions = taught
    with pytest.raises(InputError, match="at least two questions"):
        Ablation().find(subject, [], questions[:1], [])
    same = [questions[0], questions[0].model_copy(update={"id": "twin"})]
    with pytest.raises(InputError, match="no place has a second value in these 2 questions"):
        Ablation(method="sweep").find(subject, [], same, [])
    # Taking out needs nobody else.
    assert Ablation(method="remove").find(subject, [], questions[:1], []).scores.shape == (1, 4)
    with pytest.raises(ConfigError, match="measure: at least one"):
        validate(Ablation, {"measure": []}, "file")
    with pytest.raises(ConfigError, match="measure: one stands twice"):
        validate(Ablation, {"measure": ["any", "any"]}, "file")


def test_the_measures_at_their_ends() -> None:
    sure = np.array([0.0, -1000.0])
    assert effect("any", sure, [sure]) >= 0
    assert effect("any", sure, [sure[::-1]]) == 1
    assert effect("flip", sure, [sure, sure[::-1]]) == 0.5
    assert effect("drop", sure, [sure, sure[::-1]]) == 500
    assert [effect(m, sure, []) for m in EVERY] == [0, 0, 0]
