"""Writing until a stop sequence, with an intervention in place, as lm-eval's tasks want it."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from seedbed.measuring.likelihoods import Ids, Intervention, Progress, laid_out
from seedbed.models.decoding import alike
from seedbed.models.hooks import edited
from seedbed.models.subject import Subject


@torch.inference_mode()
def write_until(
    subject: Subject,
    prompts: Sequence[Ids],
    stops: Sequence[str],
    most: int,
    settings: Mapping[str, Any],
    intervention: Intervention | None = None,
    progress: Progress = lambda done, total: None,
) -> list[str]:
    """The text of up to `most` tokens after each prompt, to the end of the first of `stops` in it.

    `settings` go to `generate` (do_sample, temperature, …), beside what the model's folder says
    about generation.
    """
    from transformers import StoppingCriteriaList

    given = dict(settings)
    if not given.get("do_sample"):
        # transformers warns of a temperature that greedy decoding does not use.
        given = {k: v for k, v in given.items() if k != "temperature"} | {"do_sample": False}
    pad = subject.tokenizer.pad_token_id
    subject.model.eval()
    found: dict[int, str] = {}
    for index in alike(subject, prompts):
        chunk = [prompts[i] for i in index]
        batch = laid_out(chunk, "left").to(subject.device)
        start = batch.ids.shape[1]

        def ended(ids: Tensor, _: Tensor, start: int = start, **__: Any) -> Tensor:
            texts = subject.tokenizer.batch_decode(ids[:, start:])
            over = [any(stop and stop in text for stop in stops) for text in texts]
            return torch.tensor(over, dtype=torch.bool, device=ids.device)

        edits = intervention([len(p) for p in chunk]) if intervention else ()
        with edited(subject.model, edits) if intervention else nullcontext():
            ids = subject.model.generate(
                input_ids=batch.ids, attention_mask=batch.mask, max_new_tokens=most,
                pad_token_id=0 if pad is None else pad, use_cache=True,
                stopping_criteria=StoppingCriteriaList([ended]), **given,
            )  # fmt: skip
        texts = subject.tokenizer.batch_decode(ids[:, start:], skip_special_tokens=True)
        # A row that is done may be run on for the sake of the others.
        found |= {i: _cut(text, stops) for i, text in zip(index, texts, strict=True)}
        progress(len(found), len(prompts))
    return [found[i] for i in range(len(prompts))]


def _cut(text: str, stops: Sequence[str]) -> str:
    ends = [text.index(stop) + len(stop) for stop in stops if stop and stop in text]
    return text[: min(ends, default=len(text))]
