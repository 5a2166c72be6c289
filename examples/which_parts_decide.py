"""Which parts of one's own questions decide what a model folder answers?

Questions are JSONL with `prompt`, `choices`, `answer` and `places` (character spans by name).
"""

import sys
from pathlib import Path

from seedbed.core.foreign import read_questions
from seedbed.finders.ablation import Ablation
from seedbed.models.folders import load_subject

if __name__ == "__main__":
    model, questions = map(Path, sys.argv[1:3])
    subject, asked = load_subject(model), read_questions(questions)
    swap = Ablation(method="swap", measure="drop")
    claim = swap.find(subject, [], asked, [])
    for question, scores in zip(asked, claim.scores, strict=True):
        ranked = sorted(zip(claim.sites, scores, strict=True), key=lambda pair: -pair[1])
        print(f"{question.prompt!r}: " + ", ".join(f"{name} {score:.3f}" for name, score in ranked))
