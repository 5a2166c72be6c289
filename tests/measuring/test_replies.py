import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.measuring.packed import can_pack
from seedbed.measuring.replies import Tree, reply_logprobs
from seedbed.models.sampling import draw
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import encode_prompts

WORDS = ("yes", "no", "now", "so")
TEXT = f"<user> may i {' '.join(WORDS)}\n<assistant> yes <end>"
REPLIES = ("yes", "yes now", "so", "so yes now", "no")
PROMPTS = tuple(f"<user> {' '.join(p)}\n<assistant>"
                for n in (2, 5) for p in itertools.islice(itertools.permutations(
                    ("may", "i", *WORDS), n), 0, 40, 13))  # fmt: skip


def tiny(**changes: object) -> Subject:
    config = {"layers": 2, "width": 32, "heads": 2, "init": 0.4, "context": 32, **changes}
    return Tiny.model_validate(config).build([TEXT], [], 3)


@pytest.fixture(scope="module")
def agent() -> Subject:
    return tiny()


def brute(subject: Subject, prompt: str, reply: str) -> float:
    """Log p of the reply and the end, run by itself."""
    tokenizer = subject.tokenizer
    head = tokenizer(prompt)["input_ids"]
    tail = tokenizer(f"{reply} <end>", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = subject.model(input_ids=torch.tensor([[*head, *tail]])).logits[0].double()
    steps = torch.log_softmax(logits, dim=-1)[len(head) - 1 : -1]
    return sum(float(s[t]) for s, t in zip(steps, tail, strict=True))


def asked(prompts: Sequence[str] = PROMPTS) -> list[tuple[str, tuple[str, ...]]]:
    return [(p, REPLIES[i % 2 :]) for i, p in enumerate(prompts)]


def test_one_pass_gives_what_single_runs_give(agent: Subject) -> None:
    found = reply_logprobs(agent, asked())
    for (prompt, replies), values in zip(asked(), found, strict=True):
        wanted = [brute(agent, prompt, r) for r in replies]
        assert values == pytest.approx(wanted, abs=1e-4)


def test_models_that_do_not_follow_a_tree_run_in_full(agent: Subject) -> None:
    windowed = tiny()
    windowed.model.config.sliding_window = 3  # `can_pack` refuses it; Llama does not look at it
    assert not can_pack(windowed.model, 10)
    found = reply_logprobs(windowed, asked())
    for a, b in zip(found, reply_logprobs(agent, asked()), strict=True):
        assert a == pytest.approx(b, abs=1e-4)


def test_company_order_and_batch_change_nothing(agent: Subject) -> None:
    whole = reply_logprobs(agent, asked())
    alone = [reply_logprobs(agent, [one])[0] for one in asked()]
    turned = reply_logprobs(agent, asked()[::-1])[::-1]
    other = reply_logprobs(replace(agent, batch=1), asked())
    for values in zip(whole, alone, turned, other, strict=True):
        for each in values[1:]:
            assert each == pytest.approx(values[0], abs=1e-5)
    for a, b in zip(whole, other, strict=True):
        assert (a == b).all()


def test_equal_questions_run_once_and_a_prompt_costs_its_tree(agent: Subject) -> None:
    tokens = []
    embedding = agent.model.get_input_embeddings()
    handle = embedding.register_forward_hook(lambda _, args, __: tokens.append(args[0].numel()))
    try:
        reply_logprobs(agent, [(PROMPTS[0], REPLIES)])
        tokens.clear()
        reply_logprobs(agent, [(PROMPTS[0], REPLIES)] * 5 + [(PROMPTS[1], REPLIES)])
    finally:
        handle.remove()
    # yes, yes now, so, so yes, so yes now, no: six nodes for five replies.
    ids = encode_prompts(agent.tokenizer, PROMPTS[:2])
    assert len(ids[0]) == len(ids[1])
    assert sum(tokens) == sum(len(i) + 6 for i in ids)


def test_probabilities_are_shares_of_what_is_written(agent: Subject) -> None:
    """4,000 replies drawn token by token; each share within 4 standard errors."""
    prompt, count = PROMPTS[1], 4000
    (ids,) = encode_prompts(agent.tokenizer, [prompt])
    written = draw(agent, [ids] * count, 6, 1.0, list(range(count)))
    said = [w.text.strip() if w.end == "stop" else None for w in written]
    p = np.exp(reply_logprobs(agent, [(prompt, REPLIES)])[0])
    shares = np.array([said.count(r) / count for r in REPLIES])
    assert p.sum() > 0.02
    assert (np.abs(shares - p) <= 4 * np.sqrt(p * (1 - p) / count) + 1e-3).all()
    assert abs(shares.sum() - p.sum()) <= 4 * np.sqrt(p.sum() * (1 - p.sum()) / count)


def test_all_sequences_of_a_length_sum_to_what_is_left(agent: Subject) -> None:
    """Replies of one token and the end, over the whole vocabulary: P(second token is the end)."""
    vocabulary = [w for w in agent.tokenizer.get_vocab() if w.isalpha()]
    (values,) = reply_logprobs(agent, [(PROMPTS[0], tuple(vocabulary))])
    wanted = [brute(agent, PROMPTS[0], w) for w in vocabulary]
    assert np.exp(values).sum() == pytest.approx(np.exp(wanted).sum(), abs=1e-5)
    assert np.exp(values).sum() < 1


def test_a_tree_holds_each_beginning_once() -> None:
    tree = Tree.of([(5,), (5, 6), (7, 6, 5), (7, 6)])
    assert tree.ids == (5, 6, 7, 6, 5)
    assert tree.parents == (-1, 0, -1, 2, 3)
    assert tree.depths == (0, 1, 0, 1, 2)
    assert tree.leaves == (0, 1, 4, 3)
    assert tree.paths[2].tolist() == [0, 0, 1, 1, 1]
    assert tree.sees()[4].tolist() == [False, False, True, True, True]


def test_what_cannot_be_read_is_refused(agent: Subject) -> None:
    with pytest.raises(InputError, match="does not know 'maybe'"):
        reply_logprobs(agent, [(PROMPTS[0], ("maybe",))])
    with pytest.raises(InputError, match="context"):
        reply_logprobs(agent, [("<user> " + "yes " * 40, REPLIES)])
    long = ("yes", "yes " * 20)
    with pytest.raises(InputError, match="context"):
        reply_logprobs(agent, [("<user> no\n<assistant>", long), ("<user> " + "no " * 12, long)])
    with pytest.raises(InputError, match="apart"):
        reply_logprobs(agent, [(PROMPTS[0], ("yes now", "yes  now"))])


def test_a_subject_must_be_able_to_end() -> None:
    endless = Tiny(layers=1, width=16, heads=2).build(["yes no"], [], 0)
    with pytest.raises(InputError, match="ends a reply"):
        reply_logprobs(endless, [("yes", ("no",))])
