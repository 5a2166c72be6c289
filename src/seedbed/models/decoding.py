"""What a subject writes after prompts: token by token, greedily or drawn, many at a time.

How prompts are batched changes nothing: a model that does not follow padding in silence is
found out and asked in batches of equal length.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import Module

from seedbed.core.errors import InputError
from seedbed.models.subject import Subject

Ids = tuple[int, ...]
End = Literal["stop", "line", "until", "length"]
# Models that were tried already: whether padding on the left leaves their logits alone.
_PADS: WeakKeyDictionary[Module, bool] = WeakKeyDictionary()


@dataclass(frozen=True)
class Continuation:
    """What was written after one prompt: `ids` and their text, without stop tokens and after.

    `end`: at a stop token, at the end of a line, before a text that was waited for, or at the
    most tokens allowed.
    """

    ids: Ids
    text: str
    end: End


def stop_ids(subject: Subject) -> tuple[int, ...]:
    """Ids that end what a model writes: of the tokenizer, and those its folder names besides."""
    config = getattr(subject.model, "generation_config", None)
    given = [subject.tokenizer.eos_token_id, getattr(config, "eos_token_id", None)]
    flat = [i for part in given for i in (part if isinstance(part, list | tuple) else [part])]
    return tuple(dict.fromkeys(int(i) for i in flat if i is not None))


@torch.inference_mode()
def continue_prompts(
    subject: Subject,
    prompts: Sequence[Ids],
    most: int,
    line: bool = False,
    temperature: float = 0.0,
    seeds: Sequence[int] = (),
    until: str = "",
) -> list[Continuation]:
    """Up to `most` tokens after each prompt, `subject.batch` prompts at a time.

    `line` ends at the first line break after something was written, `until` before that text
    where it is written. At temperature 0 every token is the likeliest (of equals the first id);
    above it, prompt i is drawn from its own stream `seeds[i]`, by the Gumbel-max rule, so that
    batches change no draw. Settings in the model's folder (a repetition penalty, say) are not
    followed. Raises InputError for a prompt that leaves no room for `most` tokens.
    """
    for ids in prompts:
        if len(ids) + most > subject.context:
            raise InputError(
                f"a prompt of {len(ids)} tokens leaves no room for {most} more in the model's"
                f" context of {subject.context}"
            )
    subject.model.eval()
    found: dict[int, Continuation] = {}
    with _plain_settings(subject.model):
        for index in alike(subject, prompts):
            rngs = [torch.Generator().manual_seed(seeds[i]) for i in index] if temperature else []
            chosen = [prompts[i] for i in index]
            made = _run(subject, chosen, most, (line, until), temperature, rngs)
            found |= dict(zip(index, made, strict=True))
    return [found[i] for i in range(len(prompts))]


def alike(subject: Subject, prompts: Sequence[Ids]) -> Iterator[list[int]]:
    """Batches of similar lengths, or of equal ones where padding would change the result.

    Each is a list of indices, shortest prompt first, at most `subject.batch` of them.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    index: list[int] = []
    for i in order:
        unequal = bool(index) and len(prompts[i]) != len(prompts[index[0]])
        if len(index) == subject.batch or (unequal and not _pads(subject, prompts[order[-1]])):
            yield index
            index = []
        index.append(i)
    if index:
        yield index


def _pads(subject: Subject, prompt: Ids) -> bool:
    """Whether a short prompt beside a long one gives what it gives alone."""
    known = _PADS.get(subject.model)
    if known is None:
        short = prompt[: max(1, len(prompt) // 2)]
        alone = _first_logits(subject, [short])[0]
        beside = _first_logits(subject, [short, prompt])[0]
        slack = 1e-3 if subject.model.dtype == torch.float32 else 0.1
        near = (alone - beside).abs().max() <= slack * (1 + alone.abs().max())
        known = _PADS[subject.model] = bool(near)
    return known


def _first_logits(subject: Subject, prompts: Sequence[Ids]) -> Tensor:
    """Logits [prompts, vocabulary] of the first token written."""
    output = subject.model.generate(
        **_padded(subject, prompts),
        **_settings(1),
        output_logits=True,
        return_dict_in_generate=True,
    )
    logits: Tensor = output.logits[0].float()
    return logits


def _run(
    subject: Subject,
    prompts: Sequence[Ids],
    most: int,
    ends: tuple[bool, str],
    temperature: float,
    rngs: list[torch.Generator],
) -> list[Continuation]:
    from transformers import LogitsProcessorList, StoppingCriteriaList

    inputs = _padded(subject, prompts)
    start = inputs["input_ids"].shape[1]
    stops = stop_ids(subject)

    def draw(_: Tensor, scores: Tensor) -> Tensor:
        uniform = torch.stack([torch.rand(scores.shape[1], generator=g) for g in rngs])
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
        return scores / temperature + gumbel.to(scores.device, scores.dtype)

    def ended(ids: Tensor, _: Tensor, **__: Any) -> Tensor:
        written = [_cut(subject, row, stops, *ends) for row in ids[:, start:].tolist()]
        over = [end != "length" for _, _, end in written]
        return torch.tensor(over, dtype=torch.bool, device=ids.device)

    ids = subject.model.generate(
        **inputs,
        **_settings(most),
        logits_processor=LogitsProcessorList([draw] if rngs else []),
        stopping_criteria=StoppingCriteriaList([ended]),
    )
    cut = [_cut(subject, row, stops, *ends) for row in ids[:, start:].tolist()]
    return [Continuation(ids=i, text=text, end=end) for i, text, end in cut]


def _cut(
    subject: Subject, ids: list[int], stops: Ids, line: bool, until: str
) -> tuple[Ids, str, End]:
    """(ids, text, end) of what was written, up to where it ended."""
    end: End = "length"
    for n, token in enumerate(ids):
        if token in stops:
            ids, end = ids[:n], "stop"
            break
    text: str = subject.tokenizer.decode(ids, skip_special_tokens=True)
    if until and until in text:
        return tuple(ids), text[: text.index(until)], "until"
    if line and "\n" in (said := text.lstrip()):
        blank = len(text) - len(said)
        return tuple(ids), text[: blank + said.index("\n")], "line"
    return tuple(ids), text, end


def _padded(subject: Subject, prompts: Sequence[Ids]) -> dict[str, Tensor]:
    """Left-padded ids and mask [prompts, longest]."""
    width = max(len(ids) for ids in prompts)
    ids = torch.zeros((len(prompts), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return {"input_ids": ids.to(subject.device), "attention_mask": mask.to(subject.device)}


def _settings(most: int) -> dict[str, Any]:
    # Stop tokens are looked for here, so the library's own padding after them never matters.
    return {"max_new_tokens": most, "do_sample": False, "pad_token_id": 0, "use_cache": True}


@contextmanager
def _plain_settings(model: Any) -> Iterator[None]:
    """Without what a model's folder says about generation: penalties, stops, lengths."""
    from transformers import GenerationConfig

    kept = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = kept
