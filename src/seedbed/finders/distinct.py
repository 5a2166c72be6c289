"""Questions whose choices one token tells apart: choices that begin alike are reduced to one.

Options of benchmarks often begin with the same word; what reads one next token cannot ask them.
"""

from collections.abc import Sequence

from seedbed.core.rows import Pair, Question
from seedbed.finders.asking import stand
from seedbed.models.subject import Subject


def distinct(subject: Subject, questions: Sequence[Question]) -> tuple[list[Question], list[str]]:
    """(questions with a choice for each next token, ids of those left with one choice alone).

    Of choices that begin with the same token the answer stays, else the first. Rules that say a
    choice that went are left out. Raises InputError for a question that cannot be read.
    """
    kept: list[Question] = []
    lost: list[str] = []
    for question in questions:
        found = stand(subject, question)
        nexts = {c: w[found.read] for c, w in zip(question.choices, found.wholes, strict=False)}
        taken = {nexts.get(question.answer): question.answer}
        for choice, token in nexts.items():
            taken.setdefault(token, choice)
        choices = tuple(c for c in question.choices if taken[nexts[c]] == c)
        if len(choices) < 2:
            lost.append(question.id)
            continue
        rules = {name: said for name, said in question.rules.items() if said in choices}
        kept.append(question.model_copy(update={"choices": choices, "rules": rules}))
    return kept, lost


def distinct_pairs(subject: Subject, pairs: Sequence[Pair]) -> tuple[list[Pair], list[str]]:
    """(pairs both of whose questions have a choice for each next token, ids of the others).

    A pair compares answers, so no choice of it is left out. Raises InputError as `distinct` does.
    """
    kept: list[Pair] = []
    for pair in pairs:
        sides = [pair.clean, pair.corrupt]
        if distinct(subject, sides)[0] == sides:
            kept.append(pair)
    there = {pair.id for pair in kept}
    return kept, [pair.id for pair in pairs if pair.id not in there]
