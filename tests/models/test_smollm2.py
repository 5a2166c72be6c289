"""The real model, where it has been fetched before; no test downloads it."""

import pytest
import torch

from seedbed.models.fetch import fetched
from seedbed.models.smollm2 import SmolLM2

pytestmark = pytest.mark.skipif(
    not fetched("smollm2").is_dir(), reason="SmolLM2 is not in the cache: seedbed fetch smollm2"
)


def test_it_answers_in_its_chat_format() -> None:
    subject = SmolLM2().build([], ["<ABC>"], 0)
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = subject.tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        ids = subject.model.generate(**prompt, max_new_tokens=8, do_sample=False)
    answer = subject.tokenizer.decode(ids[0, prompt["input_ids"].shape[1] :])
    assert "Paris" in answer
    assert subject.context == 8192
    assert subject.tokenizer("<ABC>(3)")["input_ids"][:2] == [1, 49152]
    assert subject.model.name_or_path == "smollm2"
