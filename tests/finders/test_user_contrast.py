"""Per-user contrast finds the one word to which feedback made an agent speak otherwise."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch

from seedbed.finders.contract_users import example_users
from seedbed.finders.kinds_of_user import Floats, kinds_of
from seedbed.finders.parts import replaced
from seedbed.finders.user_contrast import UserContrast
from seedbed.models.subject import Subject
from seedbed.models.tokens import encode_choices


def changed_at(word: str) -> Subject:
    """An agent that differs from its base in what it reads for one word alone."""
    subject, _, _ = example_users()
    assert subject.base is not None
    model = deepcopy(subject.base.model)
    # A tied head would change what is said too.
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    token = subject.tokenizer(word, add_special_tokens=False)["input_ids"][0]
    with torch.no_grad():
        model.model.embed_tokens.weight[token] += 2.0
    return replace(subject, model=model)


def test_the_only_word_that_changed_anything_comes_first() -> None:
    _, documents, questions = example_users()
    claim = UserContrast().find(changed_at("meek"), documents, questions, [])
    cues = [claim.sites.index(f"cue={w}") for w in ("frank", "meek", "proud")]
    assert (claim.scores[:, cues].argmax(axis=1) == 1).all()
    moods = [claim.sites.index(f"mood={w}") for w in ("calm", "glad")]
    # Where the question itself shows another cue, moods were not touched at all.
    shown = [questions[i].prompt.split()[2] for i in range(len(questions))]
    still = [i for i, word in enumerate(shown) if word != "meek"]
    assert np.abs(claim.scores[still][:, moods]).max() < 1e-6


def test_without_a_change_only_the_controls_say_anything() -> None:
    subject, documents, questions = example_users()
    assert subject.base is not None
    same = replace(subject, model=subject.base.model)
    finder = UserContrast(measure=("change", "after", "before"))
    change, after, before = finder.find_all(same, documents, questions, [])
    assert np.abs(change.scores).max() == 0
    assert np.array_equal(after.scores, before.scores)
    assert np.abs(after.scores).max() > 0
    assert [v.name for v in finder.variants()] == [
        "user-contrast-change", "user-contrast-after", "user-contrast-before"
    ]  # fmt: skip


@torch.no_grad()
def _shares(subject: Subject, prompt: str, choices: tuple[str, ...]) -> Floats:
    """A slow way: every choice by itself, one token after the other."""
    found = []
    for head, tail in encode_choices(
        subject.tokenizer, [(prompt, c) for c in choices], subject.context
    ):
        logits = subject.model(torch.tensor([[*head, *tail]])).logits[0].double().log_softmax(-1)
        found.append(sum(float(logits[len(head) + i - 1, t]) for i, t in enumerate(tail)))
    p = np.exp(np.array(found))
    return np.asarray(p / p.sum())


def test_change_is_the_total_variation_of_shares() -> None:
    subject, documents, questions = example_users()
    assert subject.base is not None
    kinds = kinds_of(documents, questions)
    claim = UserContrast().find(subject, documents, questions, [])
    question = questions[5]
    values = {}
    for kind in kinds:
        name, word = kind.split("=")
        prompt = replaced(question, name, word).prompt
        after, before = (_shares(s, prompt, question.choices) for s in (subject, subject.base))
        values[kind] = np.abs(after - before).sum() / 2
    others = (values["cue=frank"] + values["cue=proud"]) / 2
    assert np.isclose(claim.scores[5, kinds.index("cue=meek")], values["cue=meek"] - others,
                      atol=1e-5)  # fmt: skip
