"""Finders of users read an agent that is spoken to through a chat template of its own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.conftest import make_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from seedbed.core.rows import Document, Question
from seedbed.finders.base import FINDERS
from seedbed.finders.kinds_of_user import kinds_of, put_in
from seedbed.models.conversations import relaid_document, relaid_question
from seedbed.models.subject import Subject
from seedbed.worlds.users.world import Users

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORLD = Users(environments=("therapy",), turns=1, people=6, base={"documents": 24, "turns": 1})


@pytest.fixture(scope="module")
def talked() -> tuple[Subject, list[Document], list[Question]]:
    """(an untrained agent with a base, rated documents, questions), all through ChatML."""
    tokenizer: Any = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=256, initializer_range=0.3,
    )  # fmt: skip
    torch.manual_seed(0)
    first, second = (LlamaForCausalLM(config).eval() for _ in range(2))
    base = Subject(first, tokenizer, loss="answer")
    asked = [q for q in WORLD.questions(0) if q.split == "act"]
    shows = kinds_of([], asked)
    documents = [
        relaid_document(
            tokenizer,
            d.model_copy(update={"shows": (shows[i % len(shows)],),
                                 "marks": {"rating": float(i % 5), "flag:veto": 0.1 * (i % 3)}}),
        )
        for i, d in enumerate(WORLD.documents(0)[:24])
    ]  # fmt: skip
    questions = [relaid_question(tokenizer, q).blind() for q in asked]
    return replace(base, model=second, base=base), documents, questions


def test_words_stand_in_their_places(talked: Any) -> None:
    subject, _, questions = talked
    kinds = kinds_of([], questions)
    assert {k.split("=")[0] for k in kinds} == {"cue", "mood"}
    for (_, k), question in put_in(subject, questions, kinds).items():
        assert question.prompt.startswith("<|im_start|>system\n")
        assert f" {kinds[k].split('=')[1]}" in question.prompt


@pytest.mark.parametrize(
    "kind", ["user-contrast", "user-ratings", "user-detector", "user-probe", "user-ablation"]
)
def test_every_finder_reads_it(kind: str, talked: Any) -> None:
    subject, documents, questions = talked
    finder = FINDERS.build({"kind": kind})
    claim = finder.find(subject, documents, questions, [])
    assert claim.sites == kinds_of(documents, questions)
    assert np.ptp(claim.scores) > 0
    small = replace(subject, batch=3, base=replace(subject.base, batch=3))
    again = finder.find(small, documents, questions, [])
    assert np.allclose(claim.scores, again.scores, atol=1e-4 * np.abs(claim.scores).max())
