"""Finders on subjects whose blocks run several times in a forward pass."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seedbed.core.cells import Cell
from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.finders.adapters.bergson import Bergson
from seedbed.finders.attribution_patching import AttributionPatching
from seedbed.finders.gradients import Gradients
from seedbed.finders.mediation import Mediation, mediate
from seedbed.finders.patching import Patching
from seedbed.finders.weight_difference import WeightDifference
from seedbed.models.blocks import blocks_of, site_of
from seedbed.models.hooks import Add, edited, read
from seedbed.models.hrm import Hrm
from seedbed.models.recurrent import Recurrent
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence, encode_choice, pad

TEXTS = ["a b c d e f g h = x y"]


@pytest.fixture(scope="module", params=["recurrent", "hrm"])
def subject(request: pytest.FixtureRequest) -> Subject:
    """A small model of either family with random weights."""
    sizes: dict[str, Any] = {"width": 16, "heads": 2, "init": 0.3}
    made = Recurrent(recurrences=3, **sizes) if request.param == "recurrent" else Hrm(**sizes)
    found = made.build(TEXTS, [], 0)
    found.model.eval()
    return found


def _question(name: str, prompt: str, answer: str) -> Question:
    places = {"one": (0, 1), "two": (2, 3)}
    return Question(
        id=name, prompt=prompt, choices=("x", "y"), answer=answer, cause=name, places=places
    )


PAIRS = [
    Pair(id=f"p{i}", clean=_question(f"q{i}", clean, "x"), corrupt=_question(f"c{i}", corrupt, "y"))
    for i, (clean, corrupt) in enumerate((("a b c =", "d b c ="), ("e f g =", "e h g =")))
]
ASKED = [pair.clean for pair in PAIRS]


def _ids(subject: Subject, question: Question) -> list[int]:
    return list(encode_choice(subject.tokenizer, question.prompt, "x", subject.context)[0])


def _difference(subject: Subject, ids: list[int], edits: list[Any]) -> float:
    """log p of y less that of x at the last token."""
    x, y = (subject.tokenizer.convert_tokens_to_ids(c) for c in ("x", "y"))
    with torch.no_grad(), edited(subject.model, edits):
        logits = subject.model(torch.tensor([ids])).logits[0, -1].double()
    return float(logits[y] - logits[x])


def test_patching_moves_what_an_edit_by_hand_moves(subject: Subject) -> None:
    claim = Patching().find(subject, [], ASKED, PAIRS)
    blocks = blocks_of(subject.model)
    assert claim.sites == tuple(c.name for c in blocks.cells(("one", "two", "last")))
    assert "tier full" in claim.notes["patches"]
    rows = [TokenSequence(tuple(_ids(subject, q)), (False,) * 5) for q in ASKED]
    others = [TokenSequence(tuple(_ids(subject, p.corrupt)), (False,) * 5) for p in PAIRS]
    ours = read(subject.model, pad(rows), blocks.residual())
    theirs = read(subject.model, pad(others), blocks.residual())
    column = {"one": 1, "two": 2, "last": 4}
    found = 0
    for q, question in enumerate(ASKED):
        ids = _ids(subject, question)
        start = _difference(subject, ids, [])
        for s, name in enumerate(claim.sites):
            cell = Cell.parse(name)
            site, at = site_of(cell), column[cell.place]
            push = theirs[site][q, at] - ours[site][q, at]
            moved = _difference(subject, ids, [Add(site, push, (at,))]) - start
            assert claim.scores[q, s] == pytest.approx(abs(moved), abs=2e-4)
            found += abs(moved) > 1e-3
    assert found > 10


def test_attribution_is_the_slope_of_a_small_push_at_its_run(subject: Subject) -> None:
    claim = AttributionPatching(steps=1, sample=0).find(subject, [], ASKED, PAIRS)
    blocks = blocks_of(subject.model)
    rows = [TokenSequence(tuple(_ids(subject, q)), (False,) * 5) for q in ASKED]
    others = [TokenSequence(tuple(_ids(subject, p.corrupt)), (False,) * 5) for p in PAIRS]
    ours = read(subject.model, pad(rows), blocks.residual())
    theirs = read(subject.model, pad(others), blocks.residual())
    step, column = 3e-3, {"one": 1, "two": 2, "last": 4}
    for q, question in enumerate(ASKED):
        ids = _ids(subject, question)
        for s, name in enumerate(claim.sites):
            site, at = site_of(Cell.parse(name)), column[Cell.parse(name).place]
            push = theirs[site][q, at] - ours[site][q, at]
            ends = [
                _difference(subject, ids, [Add(site, sign * step * push, (at,))])
                for sign in (1, -1)
            ]
            slope = (ends[0] - ends[1]) / (2 * step)
            assert claim.scores[q, s] == pytest.approx(abs(slope), abs=0.02, rel=0.05), name


def _gradient(subject: Subject, ids: list[int], first: int) -> Tensor:
    """The gradient of Σ −log p of the tokens from `first` on, by autograd."""
    logits = subject.model(torch.tensor([ids])).logits[0]
    loss = torch.nn.functional.cross_entropy(
        logits[first - 1 : -1], torch.tensor(ids[first:]), reduction="sum"
    )
    used = [p for p in subject.model.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, used, allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None])


def test_gradient_products_count_every_run_of_a_block(subject: Subject) -> None:
    documents = [Document(id=str(i), text=t, targets=((4, 5),))
                 for i, t in enumerate(("a b c = x", "d e f y"))]  # fmt: skip
    claim = Gradients().find(subject, documents, ASKED, PAIRS)
    subject_loss = [
        _gradient(subject, list(s.ids), next(i for i, p in enumerate(s.predicted) if p))
        for s in subject.encode(documents)
    ]
    for q, question in enumerate(ASKED):
        ids = _ids(subject, question)
        answer = subject.tokenizer.convert_tokens_to_ids("x")
        mine = _gradient(subject, [*ids, answer], len(ids))
        wanted = [float(mine @ other) for other in subject_loss]
        np.testing.assert_allclose(claim.scores[q], wanted, rtol=1e-3, atol=1e-4)


def test_mediation_runs_every_run_and_leaves_a_state_be_exactly(subject: Subject) -> None:
    found = mediate(
        Mediation(outcomes=("logit-difference",), trials=0, probes=False), subject, PAIRS, ASKED, {}
    )
    (name,) = [t for t in found.tables if t.startswith("controls:logit")]
    table = found.tables[name]
    identity = [c for c in table.columns if c.startswith("identity ")]
    assert len(identity) == len(blocks_of(subject.model).residual())
    for column in identity:
        assert not table.column(column).any(), column


def test_blocks_in_several_lists_are_not_compared(subject: Subject) -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match="blocks stand in several lists"):
        WeightDifference().find(replace(subject, base=subject), [], ASKED, PAIRS)


def test_integrated_gradients_add_up_where_embeddings_go_to_the_first_block(
    subject: Subject,
) -> None:
    finder = AttributionPatching(steps=64, sample=0)
    if "Hrm" in type(subject.model).__name__:
        with pytest.raises(InputError, match=r"HrmText.* take steps: 1"):
            finder.find(subject, [], ASKED, PAIRS)
        return
    found, exact = (
        finder.find(subject, [], ASKED, PAIRS),
        Patching().find(subject, [], ASKED, PAIRS),
    )
    first = [i for i, name in enumerate(found.sites) if name.startswith("resid_pre.0@")]
    # The runs differ in one word alone, so its share is the whole effect (completeness).
    assert (np.count_nonzero(exact.scores[:, first], axis=1) == 1).all()
    np.testing.assert_allclose(found.scores[:, first], exact.scores[:, first], rtol=0.02, atol=1e-4)


def test_packages_are_not_asked_about_an_architecture_that_they_do_not_know() -> None:
    assert Bergson().unsuited(Recurrent(), None) == (
        "bergson: reads architectures of transformers only, not 'recurrent'"
    )
    assert Bergson().unsuited(Hrm(), None) == ""
