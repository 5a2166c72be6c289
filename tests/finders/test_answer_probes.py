import random
from itertools import permutations

import pytest
import torch

from seedbed.core.cells import Cell
from seedbed.finders import answer_probes, asking, probes
from seedbed.finders.answer_probes import AnswerProbes
from seedbed.finders.contract_cells import LAYERS, WORDS, example_pairs, list_question
from seedbed.models import hooks
from seedbed.models.blocks import Site


def test_it_finds_the_cell_that_holds_the_answer_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, _ = example_pairs(8)
    rng = random.Random(0)
    lists = rng.sample(list(permutations(WORDS, 4)), 60)
    questions = [list_question(f"q{i}", words, rng.randrange(4)) for i, words in enumerate(lists)]
    answers = {q.id: int(q.answer) for q in questions}
    real, ask = hooks.read, asking.ask
    asked = []

    def remembered(subject: object, question: object) -> object:
        asked.append(ask(subject, question))  # type: ignore[arg-type]  # passed through as given
        return asked[-1]

    def written(model: object, batch: object, sites: list[Site]) -> dict[Site, torch.Tensor]:
        held = real(model, batch, sites)  # type: ignore[arg-type]  # passed through as given
        ids, mask = batch.ids.tolist(), batch.mask.sum(1).tolist()  # type: ignore[attr-defined]  # a Batch
        for row, (tokens, count) in enumerate(zip(ids, mask, strict=True)):
            mine = next(a for a in asked if list(a.ids) == tokens[:count])
            position = mine.places["cue"][-1]
            answer = answers.get(mine.id, 0)
            held[Site("resid_pre", 1)][row, position, :4] = 50.0 * torch.eye(4)[answer]
        return held

    monkeypatch.setattr(answer_probes, "ask", remembered)
    monkeypatch.setattr(probes, "read", written)
    claim = AnswerProbes().find(subject, [], questions, [])
    row = dict(zip(claim.sites, claim.scores[0].tolist(), strict=True))
    best = max(row, key=lambda name: row[name])
    assert best == Cell("resid_pre", 1, "cue").name
    assert row[best] == 1
    assert max(v for name, v in row.items() if name != best) < 0.7


def test_too_few_examples_are_not_probed() -> None:
    subject, pairs = example_pairs(3)
    claim = AnswerProbes().find(subject, [], [p.clean for p in pairs], [])
    assert (claim.scores == 0).all()
    assert len({Cell.parse(s).layer for s in claim.sites}) == LAYERS


def test_the_order_of_choices_is_not_the_answer() -> None:
    subject, pairs = example_pairs(12)
    questions = [p.clean.model_copy(update={"answer": f" {i % 3}"}) for i, p in enumerate(pairs)]
    turned = [q.model_copy(update={"choices": q.choices[::-1]}) if i % 2 else q
              for i, q in enumerate(questions)]  # fmt: skip
    one, other = (AnswerProbes().find(subject, [], qs, []) for qs in (questions, turned))
    assert one.scores.max() > 0
    assert (one.scores == other.scores).all()
