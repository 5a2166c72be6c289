"""Asking the model itself which part of the input decides; for models that read words.

What a model says of itself need not be what it does (Turpin et al. 2023): one more row.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.base import Finder
from seedbed.finders.part_effects import among
from seedbed.finders.parts import parts_of, text_at
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.models.templates import has_template, rendered, templated
from seedbed.training.config import Training

REPLIES = (" yes", " no")
# Words that no prompt begins with, to see what a chat template writes around them.
MARK = "what is asked"
WORDING = (
    'Question: "{prompt}"\nWould the answer change if "{text}" (the part called {part}) were'
    " different? Reply with yes or no.\nReply:"
)


class AskParts(Finder):
    """The probability of yes, of yes and no. In `wording`, {prompt} is the question's prompt,
    {part} the name of a part and {text} what stands there.
    """

    kind: str = "ask-parts"
    sites = SiteKind.INPUT
    wording: str = Field(default=WORDING, description="names {text} or {part}, and {prompt}")

    @field_validator("wording")
    @classmethod
    def _tells_parts_apart(cls, wording: str) -> str:
        if "{text}" not in wording and "{part}" not in wording:
            raise ValueError("neither {text} nor {part} stands in it, so all parts are asked alike")
        return wording

    def unsuited(self, subject: SubjectConfig, training: Training | None) -> str:
        """A vocabulary made of the world's own words cannot be asked about itself."""
        tiny = subject.kind == "tiny"
        return f"{self.name}: a tiny subject knows no words but its world's" if tiny else ""

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, parts], 0 where a question lacks a part.

        One prompt a question and part, beginnings shared; of a question in a chat template the
        user's message alone is quoted, and the whole put into the template again. Raises
        InputError for a question without places, and for a tokenizer that does not know the
        wording.
        """
        parts = parts_of(questions)
        places = [(i, part) for i, q in enumerate(questions) for part in q.places]
        asked = [self._about(subject.tokenizer, questions[i], part) for i, part in places]
        scores = np.zeros((len(questions), len(parts)))
        for (i, part), replies in zip(places, score_choices(subject, asked), strict=True):
            scores[i, parts.index(part)] = np.exp(among(replies.logprobs)[0])
        notes = {"asked": self.wording.replace("\n", " ")}
        return Claim(tuple(q.id for q in questions), parts, scores, SiteKind.INPUT, notes)

    def _about(self, tokenizer: Any, question: Question, part: str) -> Question:
        begin, end = _around(tokenizer, question.prompt)
        plain = question.prompt[begin:end]
        filled = {"part": part, "text": text_at(question, part), "prompt": plain}
        # In one go, since what is filled in may itself hold braces.
        prompt = re.sub(r"\{(part|text|prompt)\}", lambda found: filled[found[1]], self.wording)
        asked = Question(id=question.id, prompt=prompt, choices=REPLIES, answer=REPLIES[0])
        return asked if plain == question.prompt else templated(tokenizer, asked)


def _around(tokenizer: Any, prompt: str) -> tuple[int, int]:
    """Where the words of a prompt stand: all of it, or the user's message of a chat template."""
    if has_template(tokenizer):
        lead, _, tail = rendered(tokenizer, [{"role": "user", "content": MARK}]).partition(MARK)
        if prompt.startswith(lead) and prompt.endswith(tail) and lead + tail:
            return len(lead), len(prompt) - len(tail)
    return 0, len(prompt)
