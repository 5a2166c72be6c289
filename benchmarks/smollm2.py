"""Exact scores on SmolLM2-135M: 1,000 documents × 20 questions beside one pass over them.

Run: python benchmarks/smollm2.py [--json FILE] [--documents N] [--threads N]. Needs
`seedbed fetch smollm2`. Wall seconds; peak memory of the whole process.
"""

import argparse
import resource
import time
from pathlib import Path

import torch

from seedbed.finders.gradients import gradient_products, questions_of
from seedbed.models.logits import token_losses
from seedbed.models.smollm2 import SmolLM2
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence
from seedbed.worlds.hops.world import Hops
from table import Row, show

QUESTIONS = 20


def passed(subject: Subject, rows: list[TokenSequence]) -> float:
    """Seconds of one forward and backward pass over all documents, similar lengths together."""
    started = time.perf_counter()
    for _, batch in subject.batches(rows, 16):
        token_losses(subject.model, batch)[0].sum().backward()
        subject.model.zero_grad()
    return time.perf_counter() - started


def peak() -> float:
    """GiB at the peak of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    world = Hops()
    documents = world.documents(0)[: given.documents]
    asked = [q for q in world.questions(0) if q.split == "id"]
    questions = asked[:: len(asked) // QUESTIONS][:QUESTIONS]
    subject = SmolLM2().build([], world.tokens(0), 0)
    rows = subject.encode(documents)
    sequences = questions_of(subject, questions, answer=True)
    loaded = peak()
    started = time.perf_counter()
    gradient_products(subject, rows, sequences, norms=False, memory=2048)
    ours, most = time.perf_counter() - started, peak()
    theirs = passed(subject, rows)
    tokens = sum(len(s.ids) for s in rows)
    told = f"{tokens:,} tokens; peak {most:.1f} GiB, {loaded:.1f} with the model loaded"
    name = f"gradient dot product, {len(rows)} documents × {len(questions)} questions"
    row = Row(name, "one forward and backward pass", ours, theirs, theirs / ours, "s", told)
    show([row], f"SmolLM2-135M, float32, {given.threads} threads", given.json)


if __name__ == "__main__":
    main()
