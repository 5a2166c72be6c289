"""Choices scored by log-probability, beside lm-eval: same items, same model, one thread.

Run: python benchmarks/scoring.py [--json FILE]. CPU seconds, tokenising included. Where nothing
is shared the gain is bounded by what the head costs: 1.3 times for SmolLM2-135M.
"""

import copy
import logging
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from typing import Any

import torch

from seedbed.core.rows import Question
from seedbed.measuring.choices import score_choices
from seedbed.models.fetch import fetched
from seedbed.models.pretrained import Pretrained
from seedbed.models.scratch import word_tokenizer
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.worlds.hops.world import Hops
from seedbed.worlds.quadrants.world import Quadrants
from seedbed.worlds.quadrants.writing import COMPACT, TEMPLATES
from table import Row, arguments, missing, paired, seconds, show

PEER = "lm-eval"
VOCABULARY = 49_152
# Either side is about fastest with these on a processor; a pass of ours holds 16 tokens a row.
OURS, THEIRS = 32, 8
# Of these the peer gets its fastest on a small model, where it is another for each prompt length.
SIZES = (8, 32, 64, 128, 256)
FASTEST, DEFAULT = 0, 1
POINTS = 1000

FACTS: dict[str, tuple[str, ...]] = {
    "country": ("France", "Japan", "Egypt", "Brazil", "Canada", "Norway", "India", "Kenya"),
    "capital": ("Paris", "Tokyo", "Cairo", "Brasilia", "Ottawa", "Oslo", "Delhi", "Nairobi"),
    "main language": ("French", "Japanese", "Arabic", "Portuguese", "English", "Norwegian",
                      "Hindi", "Swahili"),
    "currency": ("euro", "yen", "pound", "real", "dollar", "krone", "rupee", "shilling"),
    "neighbour": ("Spain", "Korea", "Libya", "Peru", "Greenland", "Sweden", "Nepal", "Uganda"),
}  # fmt: skip
PLACES = ("north of the old river", "south of the long wall", "behind the second great hill",
          "close to the eastern border", "under the very high bridge", "along the dry salt coast",
          "between the two stone towers", "above the quiet green valley")  # fmt: skip
HEAD = "The following are multiple choice questions (with answers) about countries.\n\n"
LETTERS = ("A", "B", "C", "D")


def facts() -> list[tuple[str, list[str], int]]:
    """(question, four options, index of the right one), shuffled."""
    rng = random.Random(0)
    found = []
    for i, relation in product(range(8), [r for r in FACTS if r != "country"]):
        options = rng.sample([x for j, x in enumerate(FACTS[relation]) if j != i], 3)
        target = rng.randrange(4)
        options.insert(target, FACTS[relation][i])
        found.append((f"What is the {relation} of {FACTS['country'][i]}?", options, target))
    rng.shuffle(found)
    return found


def block(question: str, options: Sequence[str]) -> str:
    listed = "".join(f"{c}. {o}\n" for c, o in zip(LETTERS, options, strict=True))
    return f"{question}\n{listed}Answer:"


def asked(prompts: Sequence[str], choices: Sequence[Sequence[str]], targets: Sequence[int]) -> Any:
    rows = zip(prompts, choices, targets, strict=True)
    return [Question(id=str(i), prompt=p, choices=tuple(c), answer=c[t])
            for i, (p, c, t) in enumerate(rows)]  # fmt: skip


def works() -> dict[str, list[Question]]:
    items = facts()
    targets = [t for *_, t in items]
    letters = [[f" {c}" for c in LETTERS]] * len(items)
    blocks = [block(q, o) for q, o, _ in items]
    shots = HEAD + "".join(
        f"{b} {LETTERS[t]}\n\n" for b, t in zip(blocks[:5], targets, strict=False)
    )
    few = [shots + b for b in blocks[5:21]]
    rng = random.Random(1)
    # Numbers in front: no two prompts begin alike.
    apart = [
        f"{n} people were asked: {b}"
        for n, b in zip(rng.sample(range(101, 999), len(blocks)), blocks, strict=True)
    ]
    places = [[f" {p}" for p in rng.sample(PLACES, 4)] for _ in items]
    where = [
        q.replace("What", "Where", 1).replace("?", " to be found?\nAnswer:") for q, *_ in items
    ]
    return {
        "one-token choices, one header": asked([HEAD + b for b in blocks], letters, targets),
        "one-token choices, nothing shared": asked(apart, letters, targets),
        "five-word choices": asked(where, places, targets),
        "one-token choices, five shots": asked(few, letters[5:21], targets[5:21]),
    }


def big(texts: Sequence[str]) -> tuple[str, Subject]:
    """SmolLM2-135M if it has been fetched, else a small Llama with as large a vocabulary."""
    if (folder := fetched("smollm2")).is_dir():
        subject = Pretrained(path=str(folder), add_tokens=False).build([], [], 0)
        return "SmolLM2-135M", replace(subject, batch=OURS)
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = word_tokenizer(texts)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=192, intermediate_size=512, num_hidden_layers=6,
        num_attention_heads=6, max_position_embeddings=1024, pad_token_id=0, bos_token_id=1,
        eos_token_id=None,
    )  # fmt: skip
    return "random Llama, 49k vocabulary", Subject(LlamaForCausalLM(config), tokenizer, batch=OURS)


def small() -> tuple[Subject, list[Question]]:
    """The everyday subject and its questions: a vocabulary of hundreds, prompts of ten tokens."""
    world = Hops()
    questions = [q for q in world.questions(0) if q.split == "id"]
    texts = [d.text for d in world.documents(0)]
    texts += [t for q in questions for t in (q.prompt, *q.choices)]
    return replace(Tiny().build(texts, [], 0), batch=OURS), questions


def points(templates: Sequence[str]) -> tuple[Subject, list[Question]]:
    """1,000 new points, four labels each, and a fresh subject of four blocks of width 128."""
    world = Quadrants.model_validate(
        {"asked": {"questions": POINTS}, "texts": {"templates": templates}}
    )
    questions = [q for q in world.questions(0) if q.split == "id"]
    texts = [t for q in questions for t in (q.prompt, *q.choices)]
    return replace(Tiny(layers=4, width=128).build(texts, [], 0), batch=OURS), questions


class Peer:
    """lm-eval on a model in memory."""

    def __init__(
        self, subject: Subject, questions: Sequence[Question], batch: int = THEIRS
    ) -> None:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM

        logging.disable(logging.WARNING)
        tokenizer = copy.deepcopy(subject.tokenizer)
        self.model = HFLM(pretrained=subject.model, tokenizer=tokenizer, batch_size=batch)
        pairs = [(q.prompt, choice) for q in questions for choice in q.choices]
        self.requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
        self.sizes = [len(q.choices) for q in questions]

    def score(self) -> list[tuple[float, ...]]:
        found = iter(self.model.loglikelihood(self.requests, disable_tqdm=True))
        return [tuple(next(found)[0] for _ in range(n)) for n in self.sizes]


@contextmanager
def counted(model: Any) -> Iterator[dict[str, int]]:
    """How many tokens run through the body, and how many positions through the head."""
    counts = {"body": 0, "head": 0}

    def body(_: Any, args: tuple[torch.Tensor, ...], __: Any) -> None:
        counts["body"] += args[0].numel()

    def head(_: Any, __: Any, logits: torch.Tensor) -> None:
        counts["head"] += logits.numel() // logits.shape[-1]

    handles = [
        model.get_input_embeddings().register_forward_hook(body),
        model.get_output_embeddings().register_forward_hook(head),
    ]
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def fastest(subject: Subject, questions: list[Question]) -> int:
    """The batch size with which the peer is fastest, each tried twice."""

    def took(size: int) -> float:
        peer = Peer(subject, questions, size)
        return min(seconds(peer.score) for _ in range(2))

    return min(SIZES, key=took)


def compare(
    name: str, subject: Subject, questions: list[Question], repeat: int, batch: int = THEIRS
) -> Row:
    if find_spec("lm_eval") is None:
        return missing(name, PEER, "CPU s", "not installed: pip install lm-eval")
    batch = batch or fastest(subject, questions)
    peer = Peer(subject, questions, batch)
    score_choices(subject, questions)
    with counted(subject.model) as own:
        ours = [s.logprobs for s in score_choices(subject, questions)]
    with counted(subject.model) as other:
        theirs = peer.score()
    worst = max(
        abs(x - y)
        for a, b in zip(ours, theirs, strict=True)
        for x, y in zip(a, b, strict=True)
    )  # fmt: skip
    found, wanted = (
        [max(range(len(s)), key=s.__getitem__) for s in scores] for scores in (ours, theirs)
    )
    right, also = (
        sum(f == q.target for f, q in zip(answers, questions, strict=True))
        for answers in (found, wanted)
    )
    differ = sum(f != w for f, w in zip(found, wanted, strict=True))
    agreement = (
        f"largest difference {worst:.0e} nats; {differ} other answers; accuracy {right} and {also}"
        f" of {len(questions)}; tokens run {own['body']} : {other['body']}, through the head"
        f" {own['head']} : {other['head']}; its batch {batch}"
    )
    a, b, ratio = paired(lambda: score_choices(subject, questions), peer.score, repeat)
    return Row(name, PEER, a, b, ratio, "CPU s", agreement)


def check(rows: Sequence[Row]) -> None:
    """End with an error where a peer that was run gives another result."""
    for row in rows:
        if row.ratio is not None and "; 0 other answers;" not in row.agreement:
            raise SystemExit(f"{row.work}: {row.agreement}")


def main() -> None:
    # Tokenisers start threads of their own otherwise, also on the peer's side.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    given = arguments(__doc__ or "", repeat=3)
    named = works()
    texts = [t for qs in named.values() for q in qs for t in (q.prompt, *q.choices)]
    name, subject = big(texts)
    rows = [compare(work, subject, questions, given.repeat) for work, questions in named.items()]
    everyday, questions = small()
    rows.append(compare("hops questions, tiny subject", everyday, questions, 3 * given.repeat))
    every = tuple(name for name in TEMPLATES if name != COMPACT)
    for work, templates in (("compact", (COMPACT,)), ("in four templates", every)):
        asked_of, questions = points(templates)
        title = f"{POINTS:,} points × 4 labels, {work}, tiny subject"
        rows.append(compare(title, asked_of, questions, 3 * given.repeat, FASTEST))
        rows.append(compare(f"the same, {PEER} by default", asked_of, questions, 1, DEFAULT))
    show(rows, f"{name}, one thread", given.json)
    check(rows)


if __name__ == "__main__":
    main()
