"""Probabilities of whole answers: against sums over the tree of tokens, however it is cut."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from seedbed.models.options import apart, option_probs, sequence_logprobs, spellings
from seedbed.models.subject import Subject

RATINGS = tuple(str(n) for n in range(1, 11))


@pytest.fixture
def subject(family: Callable[..., Any], byte_tokenizer: Callable[..., Any]) -> Subject:
    tokenizer = byte_tokenizer()
    return Subject(model=family("llama", len(tokenizer), False), tokenizer=tokenizer, batch=3)


@torch.inference_mode()
def slowly(subject: Subject, prompt: str, answer: str) -> float:
    """log p of the answer's ids, one forward pass a token."""
    ids = subject.tokenizer(prompt)["input_ids"]
    total = 0.0
    for token in subject.tokenizer(answer)["input_ids"]:
        logits = subject.model(torch.tensor([ids])).logits[0, -1]
        total += logits.double().log_softmax(-1)[token].item()
        ids = [*ids, token]
    return total


def test_apart_takes_what_goes_on_from_the_nearest() -> None:
    reached = {("1",): 0.5, ("1", "0"): 0.3, ("1", "0", "0"): 0.1, ("2",): 0.2}
    found = apart(reached)
    assert found == pytest.approx({("1",): 0.2, ("1", "0"): 0.2, ("1", "0", "0"): 0.1, ("2",): 0.2})
    assert sum(found.values()) == pytest.approx(0.7)


def test_a_model_that_always_says_ten_says_ten(subject: Subject) -> None:
    one, zero, rest = (subject.tokenizer(t)["input_ids"][0] for t in ("1", "0", "x"))

    class Sure(torch.nn.Module):
        """Says 1, then 0, then x."""

        def forward(self, input_ids: Any, **_: Any) -> Any:
            after = {one: zero, zero: rest}
            said = [[after.get(t, one) for t in row] for row in input_ids.tolist()]
            logits = torch.nn.functional.one_hot(torch.tensor(said), 400).float() * 1000
            return type("Output", (), {"logits": logits})

        def get_output_embeddings(self) -> None:
            return None

    model = Sure()
    model.config = subject.model.config
    model.weight = torch.nn.Parameter(torch.zeros(1))
    (found,) = option_probs(Subject(model=model, tokenizer=subject.tokenizer), [("f\n", RATINGS)])
    assert isinstance(found, dict)
    assert found == pytest.approx({**dict.fromkeys(RATINGS, 0.0), "10": 1.0})


def test_ratings_equal_a_walk_token_by_token(subject: Subject) -> None:
    prompts = ["assert f(90)\n", "def f(x): return the value\n", "what\n"]
    found = option_probs(subject, [(p, RATINGS) for p in prompts])
    for prompt, shares in zip(prompts, found, strict=True):
        assert isinstance(shares, dict)
        plain = {r: math.exp(slowly(subject, prompt, r)) for r in RATINGS}
        wanted = {**plain, "1": plain["1"] - plain["10"]}
        assert shares == pytest.approx(wanted, rel=1e-4)
        assert shares["1"] < plain["1"]
        assert sum(shares.values()) < 1


def test_capitals_are_the_same_option(subject: Subject) -> None:
    assert spellings(("yes", "no", "No")) == {"Yes": "yes", "yes": "yes", "no": "no", "No": "No"}
    (found,) = option_probs(subject, [("the model\n", ("yes", "no"))])
    assert isinstance(found, dict)
    for option, texts in {"yes": ("yes", "Yes"), "no": ("no", "No")}.items():
        wanted = sum(math.exp(slowly(subject, "the model\n", t)) for t in texts)
        assert found[option] == pytest.approx(wanted, rel=1e-4)


def test_the_shares_of_all_first_tokens_are_one(subject: Subject) -> None:
    every = [((5, 6, 7), (t,)) for t in range(len(subject.tokenizer))]
    assert sum(map(math.exp, sequence_logprobs(subject, every).values())) == pytest.approx(1, 1e-5)


def test_batches_and_company_change_nothing(subject: Subject) -> None:
    asked = [("def " * n + "\n", RATINGS) for n in range(1, 6)]
    together = option_probs(subject, asked)
    for one, found in zip(asked, together, strict=True):
        (alone,) = option_probs(Subject(subject.model, subject.tokenizer, batch=1), [one])
        assert isinstance(alone, dict)
        assert found == pytest.approx(alone, rel=1e-4)


def test_ten_ratings_are_one_pass(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = []
    plain = subject.model.forward

    def counted(**inputs: Any) -> Any:
        tokens.append(inputs["input_ids"].shape)
        return plain(**inputs)

    monkeypatch.setattr(subject.model, "forward", counted)
    option_probs(subject, [("def f\n", RATINGS)])
    length = len(subject.tokenizer("def f\n")["input_ids"])
    assert tokens == [(1, length + 1)]


def test_sequences_that_begin_others_are_read_there(subject: Subject) -> None:
    pairs = [((3, 4), a) for n in (1, 2, 3) for a in itertools.product((8, 9), repeat=n)]
    found = sequence_logprobs(subject, [*pairs, ((3,), (4, 8))])
    for (prompt, answer), value in found.items():
        logits = subject.model(torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(-1)
        at = range(len(prompt) - 1, len(prompt) + len(answer) - 1)
        wanted = sum(logits[i, t].item() for i, t in zip(at, answer, strict=True))
        assert value == pytest.approx(wanted, abs=1e-4)


def test_what_cannot_be_asked_is_said_of_that_prompt_alone(subject: Subject) -> None:
    found = option_probs(subject, [("x " * 80, RATINGS), ("def\n", RATINGS), ("", ("a", "b"))])
    assert "context is 64" in str(found[0])
    assert isinstance(found[1], dict)
    assert found[2] == "no token stands before the options, and this tokenizer adds none"
