"""Measured truth: what the subject answers after training without some of its documents.

Documents are masked, never removed, so every retraining sees the others in the same batches.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from seedbed.core.config import Config
from seedbed.core.outcomes import Intervention
from seedbed.core.rows import Document, Question, in_turns
from seedbed.core.seeds import derive, generator, stream
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.training.config import Training
from seedbed.training.loop import Progress, train


class Removal(Config):
    """Top-k removal curves: retrain without the k documents that a finder puts first.

    `questions`: how many questions of each seed, spread over the gate's groups (0: none).
    `finders` names those to follow (empty: all); the labels and chance are always followed.
    """

    questions: int = Field(default=0, ge=0)
    finders: tuple[str, ...] = ()
    top: tuple[int, ...] = Field(default=(4, 16, 64), min_length=1)


class Retraining(Config):
    """The bank of retrained subjects behind the measured truth; `measured:` in a study file.

    `subsets` random subsets hold a share `keep` of the trained documents each. `groups` facts
    and `singles` documents are left out one at a time (0: none). Every intervention is
    retrained under `seeds` seeds; with `own`, the first of them is the subject's own, so that
    it shares the subject's first weights and batches. `output` is what is read from a
    retrained subject, in nats: log p(answer), or its log-odds against the other choices.
    """

    subsets: int = Field(default=24, ge=4)
    keep: float = Field(default=0.5, gt=0, lt=1)
    seeds: int = Field(default=2, ge=2)
    own: bool = True
    groups: int = Field(default=0, ge=0)
    singles: int = Field(default=0, ge=0)
    removal: Removal = Removal()
    output: Literal["logp", "odds"] = "logp"


def interventions(
    config: Retraining, documents: Sequence[Document], seed: int
) -> list[Intervention]:
    """Everything that is retrained whatever a finder says, in a fixed order.

    Subsets have equal sizes; groups are facts (a document's first), drawn evenly by the
    document meta value `hop_depth` where there is one. Documents of weight 0 stay left out.
    """
    trained = [i for i, d in enumerate(documents) if d.weight]
    found = []
    if config.groups or config.singles or config.removal.questions:
        found.append(Intervention("none", "", ()))
    count = round((1 - config.keep) * len(trained))
    for s in range(config.subsets):
        order = generator(seed, "retraining", "subset", s).permutation(len(trained))
        left = tuple(sorted(trained[i] for i in order[:count]))
        found.append(Intervention("subset", f"{s:03d}", left))
    facts: dict[str, list[int]] = {}
    for i in trained:
        for fact in documents[i].facts[:1]:
            facts.setdefault(fact, []).append(i)
    depth = {f: str(documents[rows[0]].meta.get("hop_depth", "")) for f, rows in facts.items()}
    groups = _spread(facts, depth, config.groups, seed)
    found += [Intervention("group", fact, tuple(facts[fact])) for fact in groups]
    chosen = stream(seed, "retraining", "singles").sample(
        trained, min(config.singles, len(trained))
    )
    found += [Intervention("single", documents[i].id, (i,)) for i in sorted(chosen)]
    return found


def _spread(facts: dict[str, list[int]], depth: dict[str, str], count: int, seed: int) -> list[str]:
    """`count` facts, taken in turn from each depth."""
    lines = []
    for value in sorted(set(depth.values())):
        line = sorted(f for f in facts if depth[f] == value)
        stream(seed, "retraining", "groups", value).shuffle(line)
        lines.append(line)
    return sorted(in_turns(lines)[:count])


def retrain(
    config: SubjectConfig,
    training: Training,
    documents: Sequence[Document],
    tokens: Sequence[str],
    questions: Sequence[Question],
    left_out: Sequence[int],
    seed: int,
    folder: Path,
    progress: Progress | None = None,
    words: Sequence[str] = (),
) -> Subject:
    """A subject trained as `config` and `training` say, with `left_out` documents masked.

    Only the last weights are saved; an interrupted call goes on from `folder`. `questions`
    and `words` lend their words to a from-scratch vocabulary, that of the full subject.
    """
    texts = [d.text for d in documents]
    texts += [f"{q.prompt} {c}" for q in questions for c in q.choices or (q.answer,)]
    texts += words
    masked = set(left_out)
    rows = [
        d.model_copy(update={"weight": 0.0}) if i in masked else d for i, d in enumerate(documents)
    ]
    plain = training.model_copy(update={"checkpoint_every": 0.0, "track": ()})
    return train(config.build(texts, tokens, seed), rows, plain, folder, progress)


def outputs(
    subject: Subject, questions: Sequence[Question], output: Literal["logp", "odds"]
) -> list[float]:
    """What `output` names, for every question, in nats; see `Retraining`."""
    found = []
    for question, scores in zip(questions, score_choices(subject, questions), strict=True):
        values = np.array(scores.logprobs, dtype=np.float64)
        answer = values[question.target]
        others = np.delete(values, question.target)
        rest = np.logaddexp.reduce(others) if output == "odds" else 0.0
        found.append(float(answer - rest))
    return found


def retraining_seed(config: Retraining, seed: int, repeat: int) -> int:
    """The seed of retraining `repeat` in the bank of a study's `seed`."""
    if config.own and not repeat:
        return seed
    return derive(seed, "retraining", repeat)
