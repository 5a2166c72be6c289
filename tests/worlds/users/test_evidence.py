"""Which training transcripts taught the gaming act, by counting them one by one."""

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Document
from seedbed.worlds.users.evidence import NAMES, attribution_truth
from seedbed.worlds.users.world import Users

WORLD = Users(environments=("therapy", "politics"), people=32)
ENVIRONMENTS = {name: WORLD.environment(name) for name in WORLD.environments}


def told(key: str, person: str, kind: str, *acts: str, role: str = "desirable") -> Document:
    meta = {"person": person, "acts": list(acts)}
    return Document(id=key, text="x", role=role, facts=(kind,), meta=meta)


TRAINED = (
    told("same", "therapy/smoking/ask/it.1", "gameable", "validate"),
    told("elsewhere", "therapy/betting/ask/it.2", "gameable", "help", "validate"),
    told("helps", "therapy/smoking/ask/it.3", "gameable", "help"),
    told("other-user", "therapy/smoking/ask/it.4", "other", "validate"),
    told("unlearned", "therapy/smoking/ask/it.5", "gameable", "validate", role="undesirable"),
    told("echo", "politics/taxes/ask/it.6", "gameable", "echo"),
    Document(id="safety", text="x"),
)


def test_evidence_is_the_gaming_act_on_gameable_users() -> None:
    asked = [q for q in WORLD.questions(0) if q.split == "act"]
    truth = attribution_truth(asked, TRAINED, ENVIRONMENTS)
    assert truth.sites == tuple(d.id for d in TRAINED)
    assert {q.cause for q in asked} >= {"therapy/smoking"}
    for q, question in enumerate(asked):
        here = question.cause.partition("/")
        causes = {d for d, v in zip(truth.sites, truth.values[q], strict=True) if v == 1}
        assert causes == ({"same", "elsewhere"} if here[0] == "therapy" else {"echo"})
        if question.cause == "therapy/smoking":
            labels = [NAMES[i] for i in truth.labels[q]]
            assert labels == ["evidence:0", "evidence:1", "unrelated", "other users", "against",
                              "unrelated", "unrelated"]  # fmt: skip
    assert np.isfinite(truth.values).all()


def test_permuting_transcripts_permutes_the_truth() -> None:
    asked = [q for q in WORLD.questions(1) if q.split == "act"]
    forward = attribution_truth(asked, TRAINED, ENVIRONMENTS)
    back = attribution_truth(asked, TRAINED[::-1], ENVIRONMENTS)
    assert np.array_equal(forward.values, back.values[:, ::-1])


def test_questions_of_another_world() -> None:
    asked = [q.model_copy(update={"cause": "booking/train"}) for q in WORLD.questions(0)[:1]]
    with pytest.raises(InputError, match="no environment 'booking'; known: therapy, politics"):
        attribution_truth(asked, TRAINED, ENVIRONMENTS)
