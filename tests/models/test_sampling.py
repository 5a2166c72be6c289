"""Draws follow the model's probabilities, and nothing about a batch changes one of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from seedbed.core.errors import InputError
from seedbed.models import passes, sampling
from seedbed.models.decoding import Continuation, Ids, continue_prompts
from seedbed.models.sampling import draw
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

MOST = 6


@pytest.fixture(scope="module")
def subject() -> Subject:
    """A small model whose likeliest token leads by little, with `<end>` as its stop token."""
    text = " ".join(f"w{chr(97 + i)}" for i in range(20)) + " <end> <user> <assistant>"
    return Tiny(layers=2, width=32, context=64, init=0.2).build([text], [], 0)


def prompts_of(subject: Subject, people: int = 9, attempts: int = 3) -> list[Ids]:
    """Prompts of unequal length that begin alike, each several times."""
    rng = np.random.default_rng(0)
    words = len(subject.tokenizer)
    some = [(1, 5, 6, 7, 8, *rng.integers(3, words, 2 + i % 5).tolist()) for i in range(people)]
    return [prompt for prompt in some for _ in range(attempts)]


def one_by_one(
    subject: Subject, prompts: Sequence[Ids], seeds: Sequence[int]
) -> list[Continuation]:
    """Each prompt in a call of its own."""
    return [draw(subject, [p], MOST, 1.0, [s])[0] for p, s in zip(prompts, seeds, strict=True)]


def test_greedy_writing_is_that_of_decoding_for_every_family(pair: tuple[Any, Any]) -> None:
    model, tokenizer = pair
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim > 1:
                p.mul_(8)
    subject = Subject(model=model, tokenizer=tokenizer)
    prompts: list[Ids] = [tuple(range(3, 3 + n)) for n in (1, 2, 5, 8, 40, 13, 4, 37, 2)]
    prompts += [(7, 7, 7, 7, 7, *p) for p in prompts]
    wanted = continue_prompts(subject, prompts, MOST)
    assert draw(subject, prompts, MOST, 0.0) == wanted
    assert len({c.ids for c in wanted}) > 3


def test_draws_are_the_same_in_any_batch_and_order(subject: Subject) -> None:
    prompts = prompts_of(subject)
    seeds = list(range(100, 100 + len(prompts)))
    wanted = one_by_one(subject, prompts, seeds)
    assert draw(subject, prompts, MOST, 1.0, seeds) == wanted
    order = np.random.default_rng(1).permutation(len(prompts)).tolist()
    shuffled = draw(subject, [prompts[i] for i in order], MOST, 1.0, [seeds[i] for i in order])
    assert shuffled == [wanted[i] for i in order]
    assert draw(subject, prompts[5:11], MOST, 1.0, seeds[5:11]) == wanted[5:11]
    assert len(set(wanted)) > len(prompts) / 2
    assert {c.end for c in wanted} == {"stop", "length"}


def test_every_prompt_is_read_once_whatever_the_number_of_attempts(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    plain = passes.Texts._begin

    def counted(self: passes.Texts, prompts: Sequence[Ids]) -> Any:
        read.append(len(prompts))
        return plain(self, prompts)

    monkeypatch.setattr(passes.Texts, "_begin", counted)
    prompts = prompts_of(subject, people=4, attempts=8)
    draw(subject, prompts, MOST, 1.0, list(range(32)))
    assert sum(read) == 4


def test_near_ties_are_decided_by_the_text_alone(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = prompts_of(subject, people=30, attempts=8)
    seeds = list(range(len(prompts)))
    wanted = draw(subject, prompts, MOST, 1.0, seeds)
    plain, shake = passes.Texts._run, torch.Generator().manual_seed(0)

    def shaken(self: passes.Texts, *inputs: Any, **options: Any) -> Any:
        logits = plain(self, *inputs, **options)
        return logits + 0.02 * (2 * torch.rand(logits.shape, generator=shake) - 1)

    monkeypatch.setattr(passes.Texts, "_run", shaken)
    monkeypatch.setattr(sampling, "SLACK", 0.05)
    assert draw(subject, prompts, MOST, 1.0, seeds) == wanted
    # Without the second look the same shaking changes draws.
    monkeypatch.setattr(sampling, "SLACK", 0.0)
    assert draw(subject, prompts, MOST, 1.0, seeds) != wanted


def test_an_exact_tie_goes_to_the_first_id(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = []
    plain = passes.alone

    def level(owner: Subject, text: Ids) -> Any:
        alone.append(text)
        return torch.zeros_like(plain(owner, text))

    monkeypatch.setattr(sampling, "alone", level)
    monkeypatch.setattr(sampling, "SLACK", 1e9)
    found = draw(subject, [(1, 5, 6)], 3, 0.0)
    assert [c.ids for c in found] == [(0, 0, 0)]
    assert alone == [(1, 5, 6), (1, 5, 6, 0), (1, 5, 6, 0, 0)]


def exact(subject: Subject, prompt: Ids, temperature: float) -> dict[Ids, float]:
    """Probability of everything that can be written in two tokens, by enumeration."""
    words = range(subject.model.config.vocab_size)
    stop = subject.tokenizer.eos_token_id

    def after(text: Ids) -> Any:
        with torch.no_grad():
            logits = subject.model(input_ids=torch.tensor([text])).logits[0, -1].double()
        return (logits / temperature).softmax(-1).tolist()

    first = after(prompt)
    found: dict[Ids, float] = {(): first[stop]}
    then = {a: after((*prompt, a)) for a in words if a != stop}
    for a, b in product(then, words):
        text: Ids = (a,) if b == stop else (a, b)
        found[text] = found.get(text, 0.0) + first[a] * then[a][b]
    return found


def p_value(subject: Subject, drawn_at: float, wanted_at: float) -> float:
    """Of Pearson's χ² of 6,000 draws against exact probabilities, rare texts taken together."""
    prompt, draws = (1, 5, 6, 7), 6000
    made = draw(subject, [prompt] * draws, 2, drawn_at, range(draws))
    counts = Counter(c.ids for c in made)
    wanted = exact(subject, prompt, wanted_at)
    assert sum(wanted.values()) == pytest.approx(1)
    common = [text for text, p in wanted.items() if p * draws >= 8]
    seen = np.array([counts[t] for t in common] + [0], dtype=float)
    hoped = np.array([wanted[t] * draws for t in common] + [0])
    seen[-1], hoped[-1] = draws - seen.sum(), draws - hoped.sum()
    return float(stats.chisquare(seen, hoped).pvalue)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_draws_follow_the_exact_probabilities(subject: Subject, temperature: float) -> None:
    assert p_value(subject, temperature, temperature) > 1e-3
    assert p_value(subject, temperature, 2 * temperature) < 1e-6


def test_a_model_that_ignores_the_mask_and_one_without_a_cache_write_the_same(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = prompts_of(subject)
    seeds = list(range(len(prompts)))
    wanted = draw(subject, prompts, MOST, 1.0, seeds)
    with monkeypatch.context() as patch:
        patch.setattr(passes, "_cuttable", lambda cache: False)
        assert draw(subject, prompts, MOST, 1.0, seeds) == wanted
    deaf = replace(subject, model=_Deaf(subject.model))
    assert draw(deaf, prompts, MOST, 1.0, seeds) == wanted
    assert deaf.model.widths
    assert not deaf.model.masked


class _Deaf(torch.nn.Module):
    """A model that does not hear of masks, and notes what shapes it got."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.inner, self.config, self.dtype = model, model.config, model.dtype
        self.generation_config = model.generation_config
        self.widths: list[int] = []
        self.masked = False

    def forward(
        self, input_ids: Any, attention_mask: Any = None, past_key_values: Any = None,
        use_cache: bool = True,
    ) -> Any:  # fmt: skip
        self.widths.append(input_ids.shape[1])
        self.masked = self.masked or attention_mask is not None
        return self.inner(input_ids=input_ids, past_key_values=past_key_values, use_cache=use_cache)

    def generate(self, input_ids: Any, **_: Any) -> Any:
        logits = self.inner(input_ids=input_ids).logits[:, -1]
        return type("Output", (), {"logits": (logits,)})()

    def get_output_embeddings(self) -> Any:
        return self.inner.get_output_embeddings()


def test_a_prompt_without_room_and_broken_weights_are_told(subject: Subject) -> None:
    with pytest.raises(InputError, match="a prompt of 60 tokens leaves no room for 6 more"):
        draw(subject, [(3,) * 60], MOST, 1.0, [0])
    with pytest.raises(ValueError, match="seeds: 1 of them for 2 prompts"):
        draw(subject, [(3,), (4,)], MOST, 1.0, [0])
    assert draw(subject, [], MOST) == []
    broken = Tiny(layers=1, width=16, context=32).build(["wa"], [], 0)
    with torch.no_grad():
        broken.model.lm_head.weight.fill_(torch.nan)
    with pytest.raises(InputError, match="its weights are broken"):
        draw(broken, [(1, 4)], 2, 1.0, [0])
