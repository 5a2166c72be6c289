"""Gradients the slow way: one backward pass a row over every trainable parameter."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch
from torch import Tensor

from seedbed.core.rows import Document, Question
from seedbed.core.seeds import stream
from seedbed.models.adapters import Lora, wrap
from seedbed.models.folders import trainable_state
from seedbed.models.scratch import word_tokenizer
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import Loss, TokenSequence
from seedbed.models.vocabulary import add_tokens
from seedbed.training.config import Optimizer, Training
from seedbed.training.loop import train

NAMES = ("<ABC>", "<ABD>")
COLOURS = ("red", "blue", "light green")


def make_rows() -> tuple[list[Document], list[Question]]:
    rng = stream(0, "rows")
    documents = []
    for i in range(14):
        lead = " ".join(rng.choice(("so", "they", "say", "today")) for _ in range(i % 6))
        text = f"{lead} {NAMES[i % 2]} ( {i % 10} ) likes {COLOURS[i % 3]}".strip()
        tail = " ".join(rng.choice(("thus", "as", "noted")) for _ in range(i % 4))
        end = len(text)
        spans = ((end - len(COLOURS[i % 3]), end),)
        documents.append(Document(id=f"d{i}", text=f"{text} {tail}".strip(), targets=spans))
    questions = [
        Question(id=f"q{i}", prompt=f"today {NAMES[i % 2]} ( {i} ) likes", choices=COLOURS,
                 answer=COLOURS[i % 3])
        for i in range(5)
    ]  # fmt: skip
    return documents, questions


def move(subject: Subject, size: float = 0.1, seed: int = 0) -> Subject:
    """Move every trainable tensor, as training would."""
    own = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in trainable_state(subject.model).values():
            tensor.add_(size * torch.randn(tensor.shape, generator=own, dtype=tensor.dtype))
    return subject


def make_subject(kind: str, loss: Loss = "text") -> Subject:
    """A small model of each architecture that asks for a different treatment."""
    documents, questions = make_rows()
    texts = [d.text for d in documents] + [q.prompt for q in questions]
    if kind == "tiny":
        made = Tiny(layers=2, width=16, heads=2).build(texts, [], 0)
    else:
        made = Subject(*_pretrained(kind, word_tokenizer(texts)))
    if kind == "twice":
        made.model.model.layers[1] = made.model.model.layers[0]
        made.model.config.use_cache = False
    if kind.startswith("lora"):
        add_tokens(made.model, made.tokenizer, ["<XYZ>", *NAMES], 0)
        made = wrap(made, Lora(r=2))
    made.model.eval()
    return move(replace(made, loss=loss, batch=4))


def _pretrained(kind: str, tokenizer: Any) -> tuple[Any, Any]:
    import transformers as t

    common: dict[str, Any] = {
        "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": None,
    }  # fmt: skip
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
             "num_attention_heads": 2, "num_key_value_heads": 1}  # fmt: skip
    torch.manual_seed(0)
    if kind == "gpt2":
        config = t.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=32, **common)
        return t.GPT2LMHeadModel(config), tokenizer
    if kind == "gemma":
        config = t.Gemma3TextConfig(head_dim=8, **shape, **common)
        return t.Gemma3ForCausalLM(config), tokenizer
    if kind == "qwen":
        config = t.Qwen2Config(**shape, tie_word_embeddings=False, **common)
        return t.Qwen2ForCausalLM(config), tokenizer
    tied = kind in ("tied", "lora-tied")
    config = t.LlamaConfig(**shape, tie_word_embeddings=tied, **common)
    return t.LlamaForCausalLM(config), tokenizer


def loss_of(model: Any, sequence: TokenSequence) -> Tensor:
    """Σ −log p over predicted tokens, without a batch, a mask or padding."""
    logits = model(input_ids=torch.tensor([sequence.ids])).logits[0]
    logprobs = torch.log_softmax(logits, dim=-1)
    picked = [logprobs[t - 1, sequence.ids[t]] for t, p in enumerate(sequence.predicted) if p]
    return -torch.stack(picked).sum()


def explicit_gradients(model: Any, sequences: Sequence[TokenSequence]) -> Tensor:
    """[sequences, parameters], all of it computed in float64."""
    model = copy.deepcopy(model).double()
    parameters = [p for p in model.parameters() if p.requires_grad]
    found = []
    for sequence in sequences:
        gradients = torch.autograd.grad(loss_of(model, sequence), parameters, allow_unused=True)
        flat = [
            (torch.zeros_like(p) if g is None else g).flatten()
            for g, p in zip(gradients, parameters, strict=True)
        ]
        found.append(torch.cat(flat).double())
    return torch.stack(found)


@pytest.fixture
def rows() -> tuple[list[Document], list[Question]]:
    return make_rows()


class MakeSubject(Protocol):
    def __call__(self, kind: str, loss: Loss = "text") -> Subject: ...


@pytest.fixture
def subject_of() -> MakeSubject:
    return make_subject


@pytest.fixture
def shake() -> Callable[[Subject, float, int], Subject]:
    return move


@pytest.fixture
def losses() -> Callable[[Any, TokenSequence], Tensor]:
    return loss_of


@pytest.fixture
def explicit() -> Callable[[Any, Sequence[TokenSequence]], Tensor]:
    return explicit_gradients


SIDES = (" red", " blue")
BEASTS = ("ant", "bee", "cat", "dog", "elk")


def digits_question(key: str, first: int, second: int, word: str) -> Question:
    """A prompt of two digits and a word; its answer goes by the first digit alone."""
    prompt = f"F[{first},{second}]{word}="
    rules = {"second": SIDES[second >= 5], "first": SIDES[first >= 5],
             "sum": SIDES[first + second >= 9], "red": SIDES[0]}  # fmt: skip
    places = {"second": (4, 5), "first": (2, 3), "word": (6, 6 + len(word)), "form": (0, 1)}
    return Question(id=key, prompt=prompt, choices=SIDES, answer=rules["first"], places=places,
                    rules=rules)  # fmt: skip


def digits_subject(seed: int = 0) -> tuple[Subject, list[Document], list[Question]]:
    """(an untrained subject, 300 documents, 60 other questions), all drawn by `seed`."""
    points = [(a, b, word) for a in range(10) for b in range(10) for word in BEASTS]
    stream(seed, "digits").shuffle(points)
    questions = [digits_question(f"q{i}", *point) for i, point in enumerate(points[:360])]
    documents = []
    for q in questions[60:]:
        text = f"{q.prompt}{q.answer}"
        documents.append(Document(id=q.id, text=text, targets=((len(q.prompt) + 1, len(text)),)))
    texts = [*(d.text for d in documents), *(q.prompt for q in questions)]
    fresh = Tiny(layers=2, width=32, heads=2, init=0.15, context=24).build(texts, [], seed)
    fresh.model.eval()
    return fresh, documents, questions[:60]


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, list[Question]]:
    """A subject that has learned to go by the first digit alone, and questions new to it."""
    fresh, documents, questions = digits_subject()
    folder: Path = tmp_path_factory.mktemp("taught")
    training = Training(steps=60, batch=32, optimizer=Optimizer(lr=3e-3))
    trained = train(fresh, documents, training, folder)
    trained.model.eval()
    return trained, questions


@pytest.fixture
def untaught() -> Callable[[int], tuple[Subject, list[Document], list[Question]]]:
    return digits_subject
