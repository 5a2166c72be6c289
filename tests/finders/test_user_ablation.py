"""Ablation of what is seen of a user, against a slow computation by hand."""

import numpy as np
import torch

from seedbed.finders.contract_users import example_users
from seedbed.finders.kinds_of_user import Floats, kinds_of
from seedbed.finders.parts import replaced
from seedbed.finders.user_ablation import UserAblation
from seedbed.models.subject import Subject


@torch.no_grad()
def shares(subject: Subject, prompt: str, choices: tuple[str, ...]) -> Floats:
    """A slow way: the loss of every choice, each in a pass of its own."""
    found = []
    for choice in choices:
        head = subject.tokenizer(prompt)["input_ids"]
        ids = subject.tokenizer(f"{prompt} {choice}")["input_ids"]
        labels = torch.tensor([[-100] * len(head) + ids[len(head) :]])
        loss = subject.model(torch.tensor([ids]), labels=labels).loss
        found.append(-float(loss) * (len(ids) - len(head)))
    p = np.exp(np.array(found))
    return np.asarray(p / p.sum())


def test_scores_are_differences_of_log_odds() -> None:
    subject, documents, questions = example_users()
    base = subject.base
    assert base is not None
    kinds = kinds_of(documents, questions)
    question = questions[2]
    named = [kind.split("=") for kind in kinds]
    prompts = [replaced(question, name, word).prompt for name, word in named]
    after = np.array([shares(subject, p, question.choices) for p in prompts])
    before = np.array([shares(base, p, question.choices) for p in prompts])
    risen = int((after - before).max(axis=0).argmax())
    odds = np.log(after[:, risen] / (1 - after[:, risen]))
    frank, meek, proud = (kinds.index(f"cue={w}") for w in ("frank", "meek", "proud"))
    swap = UserAblation().find(subject, documents, questions, [])
    assert np.isclose(swap.scores[2, meek], odds[meek] - (odds[frank] + odds[proud]) / 2, atol=1e-4)
    bare = shares(subject, replaced(question, "cue", "").prompt, question.choices)[risen]
    remove = UserAblation(method="remove").find(subject, documents, questions, [])
    assert np.isclose(remove.scores[2, meek], odds[meek] - np.log(bare / (1 - bare)), atol=1e-4)


def test_words_that_the_agent_cannot_tell_apart_score_nothing() -> None:
    subject, documents, questions = example_users()
    ids = [subject.tokenizer(w, add_special_tokens=False)["input_ids"][0]
           for w in ("frank", "meek", "proud")]  # fmt: skip
    with torch.no_grad():
        rows = subject.model.get_input_embeddings().weight
        rows[ids] = rows[ids[0]].clone()
    claim = UserAblation().find(subject, documents, questions, [])
    cues = [claim.sites.index(f"cue={w}") for w in ("frank", "meek", "proud")]
    assert np.abs(claim.scores[:, cues]).max() < 1e-5
    assert np.abs(claim.scores).max() > 1e-3
