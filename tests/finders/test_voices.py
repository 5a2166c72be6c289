"""What a push changed, by hand."""

import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.finders import voices
from seedbed.finders.voices import OUTCOMES, Voice, outcomes, voices_of
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

CLASSES = ("stored", "computed")


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Tiny(layers=1, width=16, heads=2).build(["a b x y z"], [], 0)


def _voice(subject: Subject, kind: str, **rules: str) -> Voice:
    question = Question(id=f"q-{kind}", prompt="a b", choices=(" x", " y", " z"), rules=rules,
                        answer=rules.get(kind, " x"))  # fmt: skip
    return voices_of(subject, [question], {question.id: kind} if kind else {}, CLASSES)[0]


def test_pushes_go_from_the_own_class_to_the_other(subject: Subject) -> None:
    stored, computed = (_voice(subject, kind, stored=" x", computed=" z") for kind in CLASSES)
    assert (stored.sign, stored.own, stored.other) == (-1, 0, 2)
    assert (computed.sign, computed.own, computed.other) == (1, 2, 0)
    assert _voice(subject, "stored").other is None
    assert _voice(subject, "stored", stored=" x", computed=" x").other is None
    with pytest.raises(InputError, match="'odd' is neither 'stored' nor 'computed'"):
        _voice(subject, "odd")


def test_outcomes_by_hand(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    with_other = _voice(subject, "stored", stored=" x", computed=" z")
    without = _voice(subject, "stored")
    width = len(subject.tokenizer)
    x, y, z = with_other.asked.choices
    before = torch.zeros(width)
    before[x] = 1.0
    to_z, to_y = before.clone(), before.clone()
    to_z[z], to_y[y] = 3.0, 2.0
    asked = [with_other, with_other, with_other, without, without]
    after = torch.stack([before, to_z, to_y, before, to_y])
    base = before.expand(5, -1)
    found = dict(zip(OUTCOMES, outcomes(asked, base, after).T, strict=True))
    nan = float("nan")
    torch.testing.assert_close(
        found["flipped"], torch.tensor([0, 1, 0, nan, nan]).double(), equal_nan=True
    )
    assert found["changed"].tolist() == [0, 1, 1, 0, 1]
    rest = torch.tensor([2.0, 0.0]).logsumexp(0) - torch.zeros(2).logsumexp(0)
    assert found["moved"].tolist() == pytest.approx([0, 3, 0, 0, float(rest)], abs=1e-6)
    p = base.double().softmax(-1)
    wanted = (p * (p.log() - after.double().softmax(-1).log())).sum(-1)
    torch.testing.assert_close(found["kl"], wanted)
    assert found["kl"][0] == found["kl"][3] == 0
    monkeypatch.setattr(voices, "BLOCK", 1)
    again = outcomes(asked, base, after)
    assert torch.equal(again[:, 3], found["kl"])
