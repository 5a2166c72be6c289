import shutil
from pathlib import Path

import numpy as np
import pytest

from seedbed.core.outcomes import Outcomes
from seedbed.report.blocks import blocks_of, groups
from seedbed.report.reader import Run


def test_effects_agree_with_a_slow_sum(retrained: Path) -> None:
    seed = Run(retrained).seeds[0]
    found, outcomes = blocks_of(seed), seed.outcomes
    assert found is not None
    assert outcomes is not None
    none = outcomes.kinds.index("none")
    for r, fact in enumerate(found.facts):
        row = next(
            i for i, (k, n) in enumerate(zip(outcomes.kinds, outcomes.names, strict=True))
            if (k, n) == ("group", fact)
        )  # fmt: skip
        for c, cause in enumerate(found.causes):
            falls = [
                sum(outcomes.outputs[none, s, q] - outcomes.outputs[row, s, q] for s in (0, 1)) / 2
                for q, name in enumerate(outcomes.questions)
                if seed.questions[name].cause == cause
            ]
            assert found.effects[r, c] == pytest.approx(np.mean(falls))


def test_families_stand_together_and_their_evidence_is_declared(retrained: Path) -> None:
    found = blocks_of(Run(retrained).seeds[1])
    assert found is not None
    families = [int(fact.split(":")[1]) for fact in found.facts]
    assert families == sorted(families)
    for fact, family, declared in zip(found.facts, families, found.declared, strict=True):
        assert fact.startswith("link:")
        assert [c for c, d in zip(found.causes, declared, strict=True) if d] == [f"family{family}"]


def test_title_holds_the_two_means(retrained: Path) -> None:
    run = Run(retrained)
    made = groups(run)
    assert made is not None
    blocks = [b for b in map(blocks_of, run.seeds) if b is not None]
    own = np.concatenate([b.effects[b.declared] for b in blocks]).mean()
    others = np.concatenate([b.effects[~b.declared] for b in blocks]).mean()
    assert own > 0.5 > others
    assert f"takes {own:.2f} nats" in made[0]
    assert f"{others:.2f} from the others" in made[0]


def test_columns_are_matched_by_site(retrained: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(retrained, tmp_path / "copy")
    path = copy / "seeds" / "0" / "effects" / "outcomes.npz"
    before = blocks_of(Run(copy).seeds[0])
    o = Outcomes.load(path)
    turned = Outcomes(o.kinds, o.names, o.questions, o.sites[::-1], o.kept[:, ::-1], o.outputs)
    turned.save(path)
    after = blocks_of(Run(copy).seeds[0])
    assert before is not None
    assert after is not None
    assert after.facts == before.facts
    assert (after.declared == before.declared).all()


def test_no_groups_no_figure(made: Path, retrained: Path, tmp_path: Path) -> None:
    assert groups(Run(made)) is None
    copy = shutil.copytree(retrained, tmp_path / "copy")
    for seed in (0, 1):
        path = copy / "seeds" / str(seed) / "effects" / "outcomes.npz"
        Outcomes.load(path).of("subset").save(path)
    assert groups(Run(copy)) is None
