"""Small models of several families, saved as Hugging Face folders with a byte-level tokenizer."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

CORPUS = [
    "the output of the function is given by the value of its input",
    "def f(x): return 12",
    "assert f(345) == 678 and g(90) == 21",
    "what stands first is hardly read by the model",
]


def make_tokenizer(bos: bool = False) -> Any:
    """Byte-level BPE as in GPT-2: no unknown token, no BOS unless asked for."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers.models import BPE
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS, trainer)
    if bos:
        core.post_processor = TemplateProcessing(
            single="<|end|> $A", special_tokens=[("<|end|>", 0)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|end|>", **({"bos_token": "<|end|>"} if bos else {})
    )


def make_family(name: str, rows: int, tied: bool) -> Any:
    """A random model of one family: two blocks, width 32, 64 positions."""
    import transformers as t

    common: dict[str, Any] = {
        "vocab_size": rows,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        "tie_word_embeddings": tied,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": None,
    }
    grouped = {**common, "num_key_value_heads": 2}
    configs: dict[str, Callable[[], Any]] = {
        "llama": lambda: t.LlamaConfig(**grouped),
        "qwen2": lambda: t.Qwen2Config(**grouped),
        "gemma3": lambda: t.Gemma3TextConfig(**grouped, head_dim=8, sliding_window=32),
        "olmo2": lambda: t.Olmo2Config(**grouped),
        "gpt_neox": lambda: t.GPTNeoXConfig(**common),
        "phi": lambda: t.PhiConfig(**grouped),
        "gpt2": lambda: t.GPT2Config(
            vocab_size=rows, n_embd=32, n_layer=2, n_head=4, n_positions=64, n_inner=48,
            tie_word_embeddings=tied, bos_token_id=0, eos_token_id=0,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        ),
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = t.AutoModelForCausalLM.from_config(configs[name]())
        # Random biases, so that a test can see one that is lost.
        with torch.no_grad():
            for key, p in model.named_parameters():
                if key.endswith("bias"):
                    p.normal_(std=0.1)
    return model.eval()


FAMILIES = [
    ("llama", True),
    ("llama", False),
    ("qwen2", True),
    ("gemma3", True),
    ("olmo2", False),
    ("gpt_neox", False),
    ("phi", False),
    ("gpt2", True),
]


@pytest.fixture
def byte_tokenizer() -> Callable[..., Any]:
    """`make_tokenizer`."""
    return make_tokenizer


@pytest.fixture
def family() -> Callable[..., Any]:
    """`make_family`."""
    return make_family


@pytest.fixture(params=FAMILIES, ids=lambda p: f"{p[0]}-{'tied' if p[1] else 'untied'}")
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """(model, tokenizer) of each family, freshly made."""
    tokenizer = make_tokenizer()
    return make_family(request.param[0], len(tokenizer), request.param[1]), tokenizer


@pytest.fixture
def llama_folder(tmp_path: Path) -> Path:
    """A saved Llama with a tied head."""
    folder = tmp_path / "llama"
    tokenizer = make_tokenizer()
    make_family("llama", len(tokenizer), tied=True).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def weighing(subject: Any, most: int | None = None) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What an OpenAI-compatible server with log-probabilities says, from a real model.

    It goes on with a begun answer where it is asked to, and lists up to `most` tokens a place
    (None: as many as are asked for).
    """

    @torch.inference_mode()
    def says(body: dict[str, Any]) -> dict[str, Any]:
        tokenizer = subject.tokenizer
        begun = bool(body.get("continue_final_message"))
        told = body["messages"][:-1] if begun else body["messages"]
        text = tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text + (body["messages"][-1]["content"] if begun else ""))["input_ids"]
        content = []
        for _ in range(body["max_tokens"]):
            logprobs = subject.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            order = logprobs.argsort(descending=True).tolist()
            listed = order[: most or body.get("top_logprobs", 1)]
            tops = [{"token": tokenizer.decode([t]), "logprob": logprobs[t].item()} for t in listed]
            content.append({**tops[0], "top_logprobs": tops})
            ids = [*ids, order[0]]
        said = "".join(place["token"] for place in content)
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": said}}
        if body.get("logprobs"):
            choice["logprobs"] = {"content": content}
        return {"choices": [choice], "usage": {"prompt_tokens": len(ids)}}

    return says


def places(*tops: dict[str, float]) -> dict[str, Any]:
    """A server's JSON: at each place these probabilities, the likeliest said."""
    content, said = [], ""
    for one in tops:
        likeliest = sorted(one.items(), key=lambda item: -item[1])
        listed = [{"token": t, "logprob": math.log(p)} for t, p in likeliest]
        content.append({**listed[0], "top_logprobs": listed})
        said += likeliest[0][0]
    return {"choices": [{"message": {"content": said}, "logprobs": {"content": content}}]}
