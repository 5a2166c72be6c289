"""Rank one's own documents for one's own questions, with any model folder as the subject."""

import sys
from pathlib import Path

from seedbed.core.foreign import read_documents, read_questions
from seedbed.finders.gradients import Gradients
from seedbed.finders.similarity import Bm25
from seedbed.models.folders import load_subject

if __name__ == "__main__":
    model, documents, questions = map(Path, sys.argv[1:4])
    subject = load_subject(model)
    rows, asked = read_documents(documents), read_questions(questions)
    for finder in (Bm25(), Gradients(measure="cosine")):
        claim = finder.find(subject, rows, asked, [])
        for question, scores in zip(asked, claim.scores, strict=True):
            best = scores.argmax()
            print(f"{finder.name}: {question.prompt!r} ← {rows[best].id} ({scores[best]:.3f})")
