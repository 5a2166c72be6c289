from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.finders.base import Finder
from seedbed.finders.block_swap import Behaviour, BlockSwap
from seedbed.finders.contract import check_layer_finder, descendant
from seedbed.finders.residual_difference import ResidualDifference
from seedbed.finders.weight_difference import WeightDifference
from seedbed.models.adapters import Lora, wrap
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import encode_choice

MEASURES: list[Finder] = [
    *(BlockSwap.model_validate({"measure": m}) for m in ("output", "block", "restore")),
    *(ResidualDifference.model_validate({"measure": m}) for m in
      ("rise", "relative-rise", "first")),
    *(WeightDifference.model_validate({"measure": m}) for m in ("norm", "relative")),
]  # fmt: skip


def drifted(size: float = 0.05) -> tuple[Subject, list[Question], int]:
    """A subject that differs from its base everywhere in its blocks, and much in one."""
    subject, questions, changed = descendant()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in subject.model.model.layers.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return subject, questions, changed


@pytest.mark.parametrize("finder", MEASURES, ids=lambda f: f.name)
def test_every_measure_keeps_the_contract(finder: Finder) -> None:
    check_layer_finder(finder)


def test_names_tell_measures_apart() -> None:
    names = [finder.name for finder in MEASURES]
    assert names[0] == "block-swap-output"
    assert len(set(names)) == len(names)
    assert BlockSwap(label="swap").name == "swap"


def _patched(subject: Subject, question: Question, swap: Any) -> list[float]:
    """Log p of each choice, one row at a time, with `swap` told block index and its output."""
    found = []
    blocks = subject.model.model.layers
    for choice in question.choices:
        prompt, tail = encode_choice(subject.tokenizer, question.prompt, choice, subject.context)
        ids = torch.tensor([prompt + tail])

        def hook(n: int, ids: Tensor = ids) -> Any:
            return lambda _, __, output: swap(n, ids, output)

        handles = [b.register_forward_hook(hook(n)) for n, b in enumerate(blocks)]
        with torch.no_grad():
            logprobs = subject.model(input_ids=ids).logits[0].double().log_softmax(-1)
        for handle in handles:
            handle.remove()
        places = range(len(prompt) - 1, ids.shape[1] - 1)
        found.append(float(sum(logprobs[t, ids[0, t + 1]] for t in places)))
    return found


def _towards(base: list[float], tuned: list[float], run: list[float]) -> float:
    old, new = np.array(base), np.array(tuned)
    p, q = np.exp(old) / np.exp(old).sum(), np.exp(new) / np.exp(new).sum()
    return float(sum((q - p) * (np.array(run) - old)))


def _untouched(n: int, ids: Tensor, output: Tensor) -> Tensor:
    return output


def test_what_leaves_a_block_is_a_residual_patch_at_every_position() -> None:
    """Against hooks that put the subject's residual streams into the base, row by row."""
    subject, questions, _ = drifted()
    base = subject.base
    assert base is not None
    scores = BlockSwap(measure="output").find(subject, [], questions, []).scores
    for row, question in zip(scores, questions, strict=True):
        streams: dict[tuple[int, tuple[int, ...]], Tensor] = {}

        def keep(n: int, ids: Tensor, output: Tensor, streams: Any = streams) -> Tensor:
            streams[n, tuple(ids[0].tolist())] = output
            return output

        new = _patched(subject, question, keep)
        old = _patched(base, question, _untouched)
        reached = [0.0]
        for layer in range(3):

            def put(n: int, ids: Tensor, output: Tensor, layer: int = layer) -> Any:
                return streams[n, tuple(ids[0].tolist())] if n == layer else None  # noqa: B023 (called before the next question)

            reached.append(_towards(old, new, _patched(base, question, put)))
        assert row == pytest.approx(np.diff(reached), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("measure", ["block", "restore"])
def test_one_block_alone_equals_a_model_built_with_it(measure: str) -> None:
    subject, questions, _ = drifted()
    base = subject.base
    assert base is not None
    scores = BlockSwap.model_validate({"measure": measure}).find(subject, [], questions, []).scores
    for layer in range(3):
        host, donor = (base, subject) if measure == "block" else (subject, base)
        state = deepcopy(host.model.state_dict())
        prefix = f"model.layers.{layer}."
        state |= {k: v for k, v in donor.model.state_dict().items() if k.startswith(prefix)}
        mixed = replace(host, model=deepcopy(host.model))
        mixed.model.load_state_dict(state)
        for row, question in zip(scores, questions, strict=True):
            old, new = (_patched(s, question, _untouched) for s in (base, subject))
            reached = _towards(old, new, _patched(mixed, question, _untouched))
            wanted = reached if measure == "block" else _towards(old, new, new) - reached
            assert row[layer] == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_steps_of_all_blocks_make_the_whole_where_only_blocks_moved() -> None:
    subject, questions, _ = drifted()
    scores = BlockSwap(measure="output").find(subject, [], questions, []).scores
    from seedbed.finders.lineage import Lineage

    whole = Behaviour.between(Lineage.of(subject, "test"), questions).whole
    assert scores.sum(axis=1) == pytest.approx(whole, rel=1e-5)
    assert (whole > 0).all()


def test_between_two_sure_answers_it_is_their_log_odds() -> None:
    old, new = np.log([0.999998, 1e-6, 1e-6]), np.log([1e-6, 0.999998, 1e-6])
    half = np.log([0.5, 0.5, 1e-12])
    behaviour = Behaviour([old], [new])
    odds = (half[1] - half[0]) - (old[1] - old[0])
    assert behaviour.towards([half]) == pytest.approx([odds], rel=1e-4)
    assert behaviour.towards([old]) == [0]
    # Another normaliser, as from choices that are not asked about, changes nothing.
    assert behaviour.towards([half + 3]) == pytest.approx(behaviour.towards([half]))
    jeffreys = ((np.exp(new) - np.exp(old)) * (new - old)).sum()
    assert behaviour.whole == pytest.approx([jeffreys])


@pytest.mark.parametrize("finder", MEASURES, ids=lambda f: f.name)
def test_what_cannot_be_compared_is_refused(finder: Finder) -> None:
    subject, questions, _ = descendant()
    with pytest.raises(InputError, match=rf"'{finder.name}': needs the model .* names no base"):
        finder.find(replace(subject, base=None), [], questions, [])
    texts = [f"{q.prompt} {c}" for q in questions for c in q.choices]
    wide = Tiny(layers=3, width=32, heads=2).build([*texts, "so they say today"], [], 0)
    with pytest.raises(InputError, match=r"another architecture: lm_head\.weight is 24 × 32 flo"):
        finder.find(replace(subject, base=wide), [], questions, [])
    deep = Tiny(layers=4, width=16, heads=2).build(texts, [], 0)
    with pytest.raises(InputError, match="it has 4 blocks, the subject 3"):
        finder.find(replace(subject, base=deep), [], questions, [])
    adapted = wrap(replace(subject, model=deepcopy(subject.model)), Lora(r=2))
    with pytest.raises(InputError, match="the subject carries a LoRA adapter; merge it first"):
        finder.find(adapted, [], questions, [])


def test_blocks_return_to_their_models_after_an_error() -> None:
    subject, questions, _ = descendant()
    base = subject.base
    assert base is not None
    own = list(base.model.model.layers)
    bad = [*questions, questions[0].model_copy(update={"id": "x", "prompt": "nobody knows"})]
    with pytest.raises(InputError, match="the tokenizer does not know"):
        BlockSwap().find(subject, [], bad, [])
    assert list(base.model.model.layers) == own


@pytest.mark.parametrize("kind", ["gpt2", "gemma", "qwen", "tied"])
def test_other_architectures(kind: str, subject_of: Any, rows: Any) -> None:
    """Of a model in which one block was shaken, every measure names that block."""
    base, (_, questions) = subject_of(kind), rows
    tuned = replace(base, model=deepcopy(base.model), base=base)
    from seedbed.models.blocks import blocks_of

    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in blocks_of(tuned.model).modules[1].parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    for finder in MEASURES:
        scores = finder.find(tuned, [], questions, []).scores
        assert (scores.argmax(axis=1) == 1).all(), finder.name
