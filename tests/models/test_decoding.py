"""Batches, padding and order change nothing; every token is what a plain run gives."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.models.decoding import Ids, continue_prompts, stop_ids
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

PROMPTS: list[Ids] = [tuple(range(3, 3 + n)) for n in (1, 2, 3, 5, 8, 13, 21, 4, 4, 9, 17, 2)]
PROMPTS += [tuple(reversed(p)) for p in PROMPTS if len(p) > 2]


def sharpened(model: Any) -> Any:
    """Weights large enough that ties of the likeliest token are far away."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim > 1 and "A_log" not in name:
                p.mul_(8)
    return model


def one_by_one(subject: Subject, prompt: Ids, most: int, stops: Sequence[int]) -> Ids:
    """Greedy decoding the slow way: the whole text again for every token, no padding, no cache."""
    ids = list(prompt)
    for _ in range(most):
        with torch.no_grad():
            logits = subject.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        token = int(logits.argmax())
        if token in stops:
            break
        ids.append(token)
    return tuple(ids[len(prompt) :])


def test_every_family_and_batch_writes_what_a_plain_run_writes(pair: tuple[Any, Any]) -> None:
    model, tokenizer = pair
    subject = Subject(model=sharpened(model), tokenizer=tokenizer)
    wanted = [one_by_one(subject, p, 6, stop_ids(subject)) for p in PROMPTS]
    for batch in (1, 5, 16):
        found = continue_prompts(replace(subject, batch=batch), PROMPTS, 6)
        assert [c.ids for c in found] == wanted
    assert len(set(wanted)) > 3


def test_a_model_that_ignores_the_mask_is_asked_by_equal_lengths(
    byte_tokenizer: Callable[..., Any], family: Callable[..., Any]
) -> None:
    tokenizer = byte_tokenizer()
    model = sharpened(family("llama", len(tokenizer), True))
    plain, lengths = model.forward, []

    def deaf(*args: Any, **inputs: Any) -> Any:
        lengths.append(tuple(inputs["input_ids"].shape))
        inputs = {k: v for k, v in inputs.items() if k not in ("attention_mask", "position_ids")}
        return plain(*args, **inputs)

    model.forward = deaf
    subject = Subject(model=model, tokenizer=tokenizer, batch=16)
    wanted = [one_by_one(subject, p, 4, stop_ids(subject)) for p in PROMPTS]
    found = continue_prompts(subject, PROMPTS, 4)
    assert [c.ids for c in found] == wanted


def test_a_folder_s_own_settings_are_not_followed_and_come_back(
    byte_tokenizer: Callable[..., Any], family: Callable[..., Any]
) -> None:
    tokenizer = byte_tokenizer()
    model = sharpened(family("llama", len(tokenizer), True))
    subject = Subject(model=model, tokenizer=tokenizer)
    wanted = [c.ids for c in continue_prompts(subject, PROMPTS, 8)]
    model.generation_config.repetition_penalty = 50.0
    model.generation_config.no_repeat_ngram_size = 1
    assert [c.ids for c in continue_prompts(subject, PROMPTS, 8)] == wanted
    assert model.generation_config.repetition_penalty == 50.0


@pytest.fixture
def scripted(byte_tokenizer: Callable[..., Any], family: Callable[..., Any]) -> Any:
    """A subject whose model writes given texts; only the model's part is played."""
    tokenizer = byte_tokenizer()
    model = family("llama", len(tokenizer), True)

    def make(texts: list[str]) -> tuple[Subject, list[Ids]]:
        coded = [[*tokenizer(t, add_special_tokens=False)["input_ids"], 0] for t in texts]
        prompts: list[Ids] = [(3 + i, 3) for i in range(len(texts))]

        def generate(input_ids: Any, max_new_tokens: int, stopping_criteria: Any, **_: Any) -> Any:
            rows = input_ids.tolist()
            over = [False] * len(rows)
            for step in range(max_new_tokens):
                for n, row in enumerate(rows):
                    said = coded[row[0] - 3]
                    row.append(0 if over[n] else said[min(step, len(said) - 1)])
                now = stopping_criteria(torch.tensor(rows), torch.zeros(1)).tolist()
                over = [a or b for a, b in zip(over, now, strict=True)]
                if all(over):
                    break
            return torch.tensor(rows)

        model.generate = generate
        return Subject(model=model, tokenizer=tokenizer), prompts

    return make


def test_stops_lines_and_limits(scripted: Any) -> None:
    texts = ["3", " 3\nList", "\n\n 4 words\nmore", "the output of the function", ""]
    subject, prompts = scripted(texts)
    found = continue_prompts(subject, prompts, 12, line=True)
    assert [c.text for c in found[:3]] == ["3", " 3", "\n\n 4 words"]
    assert [c.end for c in found[:3]] == ["stop", "line", "line"]
    assert found[4].text == ""
    short = continue_prompts(subject, prompts, 2, line=True)[3]
    assert short.end == "length"
    assert texts[3].startswith(short.text)
    assert len(short.ids) == 2
    whole = continue_prompts(subject, prompts, 12)
    assert whole[1].text == " 3\nList"


def test_what_stands_before_a_text_that_is_waited_for(scripted: Any) -> None:
    subject, prompts = scripted([" 3\nList of words", " 3 words\nmore", "the output"])
    found = continue_prompts(subject, prompts, 20, until="\nList")
    assert [c.text for c in found] == [" 3", " 3 words\nmore", "the output"]
    assert [c.end for c in found] == ["until", "stop", "stop"]
    assert len(found[0].ids) < 20


def test_draws_depend_on_the_seed_and_not_on_the_batch() -> None:
    subject = Tiny(layers=1, width=16, heads=2, context=16).build(["a b c d e f"], [], 0)
    prompts: list[Ids] = [(1,) * (1 + i % 3) for i in range(40)]
    seeds = list(range(40))
    found = {
        batch: [c.ids for c in continue_prompts(replace(subject, batch=batch), prompts, 4,
                                                temperature=1.0, seeds=seeds)]
        for batch in (1, 40)
    }  # fmt: skip
    assert found[1] == found[40]
    assert len(set(found[1])) > 30


def test_draws_follow_the_model_s_probabilities() -> None:
    subject = Tiny(layers=1, width=16, heads=2, context=16).build(["a b"], [], 0)
    sharpened(subject.model)
    n = 3000
    drawn = continue_prompts(replace(subject, batch=n), [(1,)] * n, 1, temperature=0.7,
                             seeds=range(n))  # fmt: skip
    logits = subject.model(input_ids=torch.tensor([[1]])).logits[0, -1] / 0.7
    p = logits.softmax(-1).detach().double().numpy()
    counts = Counter(c.ids[0] if c.ids else -1 for c in drawn)
    for token, share in enumerate(p):
        slack = 4 * np.sqrt(share * (1 - share) / n) + 1e-3
        assert counts[token] / n == pytest.approx(share, abs=slack)


def test_a_prompt_that_leaves_no_room() -> None:
    subject = Tiny(layers=1, width=16, heads=2, context=16).build(["a b"], [], 0)
    with pytest.raises(InputError, match="a prompt of 10 tokens leaves no room for 7 more"):
        continue_prompts(subject, [(1,) * 10], 7)


def test_stop_ids_are_those_of_tokenizer_and_folder(
    byte_tokenizer: Callable[..., Any], family: Callable[..., Any]
) -> None:
    tokenizer = byte_tokenizer()
    model = family("llama", len(tokenizer), True)
    model.generation_config.eos_token_id = [7, 0]
    assert stop_ids(Subject(model=model, tokenizer=tokenizer)) == (0, 7)
