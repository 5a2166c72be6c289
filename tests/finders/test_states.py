"""States at cells against the plain reading of whole streams, one question at a time."""

from dataclasses import replace

import pytest
import torch

from seedbed.core.cells import LAST, MEAN, Cell
from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.finders.contract_directions import example_questions
from seedbed.finders.states import Sweep, gathered, held, spotted
from seedbed.models.blocks import site_of
from seedbed.models.hooks import read
from seedbed.models.tokens import TokenSequence, pad

STREAMS = ("resid_pre", "attn_out", "mlp_out", "head")


def test_every_stream_and_place_is_what_a_plain_reading_finds() -> None:
    subject, questions = example_questions(8)
    sweep = Sweep(streams=STREAMS, places=("name", LAST, MEAN))
    cells = sweep.cells(subject, questions)
    found = held(replace(subject, batch=3), questions, cells)
    assert found.questions == tuple(q.id for q in questions)
    for row, question in enumerate(questions):
        spot = spotted(subject, question)
        batch = pad([TokenSequence(spot.ids, (False,) * len(spot.ids))])
        streams = read(subject.model, batch, [site_of(c) for c in cells])
        for cell in cells:
            hidden = streams[site_of(cell)][0]
            wanted = hidden.mean(0) if cell.place == MEAN else hidden[spot.places[cell.place][-1]]
            assert torch.allclose(found.at(cell)[row], wanted, atol=1e-5), cell.name


def test_default_sweep_is_the_residual_stream_in_running_order() -> None:
    subject, questions = example_questions(4)
    cells = [c.name for c in Sweep().cells(subject, questions)]
    assert cells[:4] == ["resid_pre.0@name", "resid_pre.0@other", "resid_pre.0@last",
                         "resid_pre.1@name"]  # fmt: skip
    assert cells[-1] == "resid_post.1@last"
    only = Sweep(layers=(1,), places=(LAST,)).cells(subject, questions)
    assert [c.name for c in only] == ["resid_pre.1@last", "resid_post.1@last"]


def test_only_wanted_positions_are_held() -> None:
    subject, questions = example_questions(6)
    rows = [spotted(subject, q) for q in questions]
    cells = Sweep(places=(LAST,)).cells(subject, questions)
    for index, found in gathered(subject, rows, cells):
        for states in found.values():
            assert states.untyped_storage().nbytes() == 4 * len(index) * 16


def test_a_question_without_the_place_holds_no_number() -> None:
    subject, questions = example_questions(4)
    bare = questions[1].model_copy(update={"places": {}})
    cell = Cell("resid_post", 1, "name")
    found = held(subject, [questions[0], bare, questions[2]], [cell]).at(cell)
    assert found.isnan().all(1).tolist() == [False, True, False]


def test_a_question_without_choices_is_read_at_its_last_token() -> None:
    subject, questions = example_questions(4)
    open_ = Question(id="q", prompt=f"{questions[0].prompt} ", answer="yes")
    told = spotted(subject, open_)
    whole = spotted(subject, open_, answer=True)
    assert told.places[LAST] == (len(told.ids) - 1,) == whole.places[LAST]
    assert len(whole.ids) == len(told.ids) + 1
    assert whole.places[MEAN] == tuple(range(len(whole.ids)))


def test_answers_count_in_the_mean_and_nowhere_else() -> None:
    subject, questions = example_questions(4)
    mean, last = Cell("resid_pre", 0, MEAN), Cell("resid_post", 1, LAST)
    without = held(subject, questions, [mean, last])
    with_ = held(subject, questions, [mean, last], answer=True)
    assert torch.allclose(without.at(last), with_.at(last), atol=1e-5)
    table = subject.model.get_input_embeddings().weight
    for row, question in enumerate(questions):
        ids = torch.tensor(spotted(subject, question, answer=True).ids)
        assert torch.allclose(with_.at(mean)[row], table[ids].mean(0), atol=1e-6)
        assert not torch.allclose(without.at(mean)[row], table[ids].mean(0), atol=1e-3)


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        (Sweep(places=("nmae",)), "did you mean 'name'"),
        (Sweep(layers=(7,)), "resid_pre.7: the model has blocks 0 to 1"),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(sweep: Sweep, said: str) -> None:
    subject, questions = example_questions(4)
    with pytest.raises(InputError, match=said):
        sweep.cells(subject, questions)
