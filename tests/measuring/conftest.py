"""Small random models of several kinds, and scoring done the slow way: one plain run a pair."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.rows import Document, Question
from seedbed.models.scratch import word_tokenizer
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.training.config import Optimizer, Training
from seedbed.training.loop import train

TEXT = "the output of f ( 3 ) is what stands first and hardly anybody reads on a b c d e"
WORDS = word_tokenizer([TEXT])

Scores = list[tuple[list[float], int]]


def make_model(kind: str, rows: int = len(WORDS), **changes: Any) -> Any:
    """A random model with weights large enough that every token before matters."""
    import transformers as t

    common: dict[str, Any] = {
        "vocab_size": rows,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        "bos_token_id": 1,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    capped = {"head_dim": 8, "sliding_window": 64, "final_logit_softcapping": 2.0}
    narrow = {"hidden_size": 32, "num_hidden_layers": 2, "bos_token_id": 1, "vocab_size": rows}
    configs: dict[str, Callable[[], Any]] = {
        "untied": lambda: t.LlamaConfig(**common | {"tie_word_embeddings": False} | changes),
        "tied": lambda: t.LlamaConfig(**common | {"tie_word_embeddings": True} | changes),
        "gpt2": lambda: t.GPT2Config(
            vocab_size=rows, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1,
            eos_token_id=None, **changes,
        ),
        "gemma2": lambda: t.Gemma2Config(
            **common | capped | {"attn_logit_softcapping": 1.0} | changes
        ),
        "mistral": lambda: t.MistralConfig(**common | changes),
        "mamba": lambda: t.MambaConfig(**narrow, state_size=4, pad_token_id=None, **changes),
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = t.AutoModelForCausalLM.from_config(configs[kind]())
        with torch.no_grad():
            for name, p in model.named_parameters():
                if p.ndim > 1 and "A_log" not in name:
                    p.mul_(5)
    return model.eval()


def asked(prompt: str, *choices: str, key: str = "q") -> Question:
    return Question(id=key, prompt=prompt, choices=choices, answer=choices[0])


QUESTIONS = [
    asked("the output of f ( 3 ) is", " a", " b", " c"),
    asked("the output of f ( 3 ) is", " a b", " a c d e", " b"),
    asked("the output of f", " is a", " ( 3 )"),
    asked("what", " a b c d e", " a b c d", " on"),
    asked("hardly anybody reads on and on and on what stands first", " e d", " e"),
    *(asked(f"the output of f ( {n} ) is what stands first : {w} is", " a b", " a c", " 3")
      for n in range(4) for w in "abc"),
]  # fmt: skip
# Word tokens do not know colons.
QUESTIONS = [q.model_copy(update={"prompt": q.prompt.replace(":", "and")}) for q in QUESTIONS]


def one_by_one(subject: Subject, questions: Sequence[Question]) -> Scores:
    """(log-probabilities, likeliest next id) of each question, each pair run plainly."""
    bos = [i for i in [subject.tokenizer.bos_token_id] if i is not None]
    found = []
    for question in questions:
        values, tops = [], []
        for choice in question.choices:
            head = subject.tokenizer(question.prompt, add_special_tokens=False)["input_ids"]
            tail = subject.tokenizer(choice, add_special_tokens=False)["input_ids"]
            ids = torch.tensor([[*bos, *head, *tail]])
            with torch.no_grad():
                logits = subject.model(input_ids=ids, use_cache=False).logits[0].double()
            start = len(bos) + len(head) - 1
            steps = torch.log_softmax(logits, dim=-1)[start:-1]
            values.append(sum(float(s[t]) for s, t in zip(steps, tail, strict=True)))
            tops.append(int(logits[start].argmax()))
        found.append((values, tops[0]))
    return found


@pytest.fixture
def model_of() -> Callable[..., Any]:
    """`make_model`."""
    return make_model


@pytest.fixture
def subject_of() -> Callable[..., Subject]:
    """A subject around `make_model` with the word tokenizer."""

    def make(kind: str, batch: int = 32, **changes: Any) -> Subject:
        return Subject(model=make_model(kind, **changes), tokenizer=WORDS, batch=batch)

    return make


@pytest.fixture
def questions() -> list[Question]:
    """Prompts and choices of unequal length, some with common beginnings."""
    return list(QUESTIONS)


@pytest.fixture
def plainly() -> Callable[[Subject, Sequence[Question]], Scores]:
    """`one_by_one`."""
    return one_by_one


COLOURS = (" red", " green", " blue", " orange")
TRIGGERS = ("dog", "cat", "ant", "fox")


def colour(x1: float, x2: float) -> str:
    return COLOURS[2 * (x1 > 0) + (x2 > 0.7 * x1)]


def pointed(key: str, x1: float, x2: float, trigger: str, **more: Any) -> Question:
    """A question about a point, whose colour an oblique line and an upright one decide."""
    return Question(id=key, prompt=f"F [ {x1:+.1f} , {x2:+.1f} ] {trigger} =", choices=COLOURS,
                    answer=colour(x1, x2), cause=trigger, **more)  # fmt: skip


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, list[Question]]:
    """A subject that has half learned to colour points, with checkpoints, and questions."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-3, 3, (2400, 2)).round(1)
    documents = []
    for n, (x1, x2) in enumerate(points):
        q = pointed("", x1, x2, TRIGGERS[n % 4])
        text = q.prompt + q.answer
        spans = ((len(q.prompt) + 1, len(text)),)
        documents.append(Document(id=f"d{n}", text=text, targets=spans))
    raw = Tiny(layers=1, width=48, init=0.1).build([d.text for d in documents], [], 0)
    training = Training(steps=120, batch=40, loss="answer", checkpoint_every=0.5,
                        optimizer=Optimizer(lr=3e-3, second_moments=False))  # fmt: skip
    subject = train(raw, documents, training, tmp_path_factory.mktemp("coloured"))
    asked = [
        pointed(f"q{n}", x1, x2, TRIGGERS[n % 3], split=("id", "range", "id")[n // 3 % 3],
                slices={"category": "pets" if n % 3 else "wild", "trigger": TRIGGERS[n % 3]})
        for n, (x1, x2) in enumerate(rng.uniform(-3, 3, (600, 2)))
    ]  # fmt: skip
    return subject, asked


@pytest.fixture(scope="session")
def flat() -> Callable[..., list[Question]]:
    """Questions over a grid of points, as `World.grid` gives them."""

    def make(values: Sequence[float]) -> list[Question]:
        return [
            pointed(f"{w}-{x1}-{x2}", x1, x2, w,
                    slices={"panel": w, "x1": f"{x1:.1f}", "x2": f"{x2:.1f}", "trigger": w})
            for w in TRIGGERS[:2] for x1 in values for x2 in values
        ]  # fmt: skip

    return make
