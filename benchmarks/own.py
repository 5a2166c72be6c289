"""Seedbed's own scoring of a job that was exported for a peer: same files, same measurement.

Run by peers.py in a process of its own: python own.py KIND FOLDER.
"""

import json
import sys
from dataclasses import replace
from typing import Any

from seedbed.core.files import read_rows
from seedbed.core.rows import Document, Question
from seedbed.finders.adapters.exchange import RUNNERS
from seedbed.finders.curvature import Ekfac
from seedbed.finders.products import gradient_products
from seedbed.finders.unrolled import unrolled_effects
from seedbed.models.folders import load_subject
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence
from seedbed.training.config import Optimizer, Order, Training

sys.path.insert(0, str(RUNNERS))
import given


def sequences(rows: given.Rows) -> list[TokenSequence]:
    """Rows of a job as seedbed holds them."""
    return [
        TokenSequence(tuple(ids), tuple(label != -100 for label in labels))
        for ids, labels in zip(rows.ids, rows.labels, strict=True)
    ]


def main() -> None:
    kind = sys.argv.pop(1)
    job = given.load()
    subject: Subject = replace(load_subject(job.folder / "subject"), model=job.model)
    subject = replace(subject, batch=job.batch)
    documents, asked = sequences(job.documents), sequences(job.questions)
    texts = read_rows(job.folder / "documents.jsonl", Document)
    questions = read_rows(job.folder / "questions.jsonl", Question)
    settings = json.loads((job.folder / "own.json").read_text())
    # Finders encode the rows themselves: to the very same ids.
    assert subject.encode(texts) == documents

    def exact() -> Any:
        return gradient_products(subject, documents, asked, norms=False).dot

    def ekfac() -> Any:
        return Ekfac.model_validate(settings).find(subject, texts, questions, []).scores

    def unrolled() -> Any:
        plain = Optimizer(**settings, weight_decay=0, clip=0, warmup=0, schedule="constant")
        steps = len(texts) // job.batch
        training = Training(steps=steps, batch=job.batch, loss=subject.loss, optimizer=plain,
                            order=Order(kind="given"))  # fmt: skip
        return -unrolled_effects(subject, texts, training, asked)

    work = {"exact": exact, "ekfac": ekfac, "unrolled": unrolled}[kind]
    job.finish(job.measured(work), "seedbed")


if __name__ == "__main__":
    main()
