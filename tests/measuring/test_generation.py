"""Written answers come from generated ids only."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from seedbed.core.rows import Question
from seedbed.measuring.generation import read, write_answers
from seedbed.models.scratch import word_tokenizer
from seedbed.models.subject import Subject


@pytest.fixture
def saying() -> Callable[[str], Subject]:
    """A real model whose head always makes one word likeliest, whatever stands before."""

    def make(word: str) -> Subject:
        import transformers as t

        tokenizer = word_tokenizer(["There are 7 words , one two three apple pear : 0 1 2 3 4"])
        config = t.GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2,
                              n_positions=32, bos_token_id=1, eos_token_id=None)  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = t.GPT2LMHeadModel(config).eval()
        with torch.no_grad():
            # The last norm gives a constant vector, which is the word's own embedding.
            vector = torch.randn(16, generator=torch.Generator().manual_seed(1))
            model.transformer.ln_f.weight.zero_()
            model.transformer.ln_f.bias.copy_(vector)
            model.transformer.wte.weight[tokenizer.convert_tokens_to_ids(word)] = vector
        return Subject(model=model, tokenizer=tokenizer)

    return make


def question(prompt: str) -> Question:
    return Question(id="q", prompt=prompt, answer="3")


def test_a_number_in_the_prompt_is_never_read(saying: Callable[[str], Subject]) -> None:
    found = write_answers(saying("apple"), [question("There are 7 words : 3")], most=3)[0]
    assert found.text == "apple apple apple"
    assert (found.number, found.outcome, found.end) == (None, "no number", "length")


def test_a_number_is_read_from_what_was_written(saying: Callable[[str], Subject]) -> None:
    found = write_answers(saying("three"), [question("There are 7 words : ")], most=2)[0]
    assert (found.number, found.tokens) == (3, 2)


def test_every_question_has_its_own_answer(subject_of: Callable[..., Subject]) -> None:
    prompts = ["the output of f ( 3 ) is", "what", "a b c d e", "hardly anybody reads"]
    asked = [Question(id=str(i), prompt=p, answer="3") for i, p in enumerate(prompts * 5)]
    many = write_answers(subject_of("untied", batch=16), asked, most=6)
    alone = [write_answers(subject_of("untied", batch=1), [q], most=6)[0] for q in asked]
    assert many == alone
    assert [w.id for w in many] == [q.id for q in asked]


def test_a_reply_from_elsewhere_is_read_alike() -> None:
    found: Any = read("q", "**3** fruits")
    assert (found.id, found.number, found.outcome) == ("q", 3, "number")
