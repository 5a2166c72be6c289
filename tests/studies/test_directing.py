import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.core.directions import FILE as VECTORS
from seedbed.core.directions import Directions
from seedbed.core.files import read_json, read_rows
from seedbed.core.rows import Pair, Question
from seedbed.core.selectivity import CHOSEN, DirectionRow
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.finders.base import Finder
from seedbed.models.folders import load_subject
from seedbed.studies.directing import FILE, SIDES, classes
from seedbed.studies.run import run
from seedbed.studies.sides import SideRow
from seedbed.studies.stages import run_finder
from seedbed.studies.study import Study
from seedbed.worlds.recall.world import Recall


def rows(folder: Path) -> list[DirectionRow]:
    return [DirectionRow.model_validate(r) for r in read_json(folder / FILE)]


def test_every_side_that_learned_is_tried_alike(recall_run: Path) -> None:
    found = rows(recall_run)
    assert {r.side for r in found} == {"", "mirror"}
    own, mirror = ([r for r in found if r.side == side] for side in ("", "mirror"))
    assert own == [r.model_copy(update={"side": ""}) for r in mirror]
    assert {"decodable", "patching", "steering", "selectivity", "effect", "cosine"} == {
        r.section for r in found
    }


def test_a_side_that_did_not_learn_is_named_with_its_figures(recall_run: Path) -> None:
    told = {r.side: r for r in map(SideRow.model_validate, read_json(recall_run / SIDES))}
    assert not told["mirror"].left_out
    assert told["mirror"].negative == "none, in truth"
    assert "not learned" in told["idle"].left_out
    assert told["idle"].negative == Recall(form="exceptions").negative
    assert {g.seed for g in told["idle"].gate} == {0, 1}


def test_accuracy_at_the_chosen_site_is_that_of_the_scores(recall_run: Path) -> None:
    scores = {
        s["finder"]: s["value"]
        for s in read_json(recall_run / "scores.json")
        if (s["metric"], s["slice"]) == ("roc_auc", "all")
    }
    accuracy = {
        r.direction: r.value
        for r in rows(recall_run)
        if (r.side, r.section, r.name, r.site) == ("", "decodable", "accuracy", CHOSEN)
    }
    assert accuracy["difference"] == pytest.approx(scores["difference"])
    assert scores["oracle"] == 1
    assert 0.2 < scores["chance"] < 0.8
    assert scores["difference"] > 0.8


def test_the_surface_tells_nothing(recall_run: Path) -> None:
    marks = []
    for seed in (0, 1):
        here = recall_run / "seeds" / str(seed)
        claim = Claim.load(here / "find-surface" / "claim.npz")
        truth = Truth.load(here / "data" / "truth.npz").select(claim.questions)
        right = claim.scores.argmax(1) == truth.values[:, _order(truth, claim)].argmax(1)
        marks.append(right.mean())
    assert np.mean(marks) < 0.7


def _order(truth: Truth, claim: Claim) -> list[int]:
    return [truth.sites.index(s) for s in claim.sites]


def test_claims_speak_of_the_questions_asked_and_keep_their_directions(recall_run: Path) -> None:
    here = recall_run / "seeds" / "0"
    claim = Claim.load(here / "find-difference" / "claim.npz")
    questions = {q.id: q for q in read_rows(here / "data" / "questions.jsonl", Question)}
    assert len(claim.questions) == 32
    assert all(questions[q].split == "id" for q in claim.questions)
    directions = Directions.load(here / "find-difference" / VECTORS)
    assert {directions.positive, directions.negative} == {"stored", "computed"}
    kinds = classes(Truth.load(here / "data" / "truth.npz"))
    assert {kinds[q] for q in claim.questions} == {"stored", "computed"}
    assert not any(questions[q].split == "unrelated" for q in kinds)


def test_sides_keep_their_claims_and_directions(recall_run: Path) -> None:
    own, mirror = (
        recall_run / top / "seeds" / "1" / "find-difference" for top in (".", "sides/mirror")
    )
    for name in ("claim.npz", VECTORS):
        assert (own / name).read_bytes() == (mirror / name).read_bytes()


class Peeking(Finder):
    """Sees nothing that tells the class."""

    kind: str = "peeking"
    sites = SiteKind.DIRECTION
    label: str = "peeking"

    def find(
        self, subject: Any, documents: Any, questions: Sequence[Question], pairs: Sequence[Pair]
    ) -> Claim:
        every = [*questions, *(q for p in pairs for q in (p.clean, p.corrupt))]
        assert not any(q.rules or q.slices or q.cause for q in every)
        ids = tuple(q.id for q in questions)
        return Claim(ids, ("computed", "stored"), np.zeros((len(ids), 2)), SiteKind.DIRECTION)


def test_no_finder_of_directions_sees_what_either_class_would_answer(recall_run: Path) -> None:
    here = recall_run / "seeds" / "0"
    asked = read_rows(here / "data" / "questions.jsonl", Question)
    pairs = read_rows(here / "data" / "pairs.jsonl", Pair)
    assert any(q.rules for q in asked)
    subject = load_subject(here / "train" / "subject")
    claims, _ = run_finder(Peeking(), subject, [], asked, pairs)
    assert len(claims) == 1


def test_run_again_everything_is_taken_and_the_same(
    recall_run: Path, recall_study: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(recall_run.parent, tmp_path / "copy")
    again = run(Study.model_validate(recall_study), tmp_path / "copy" / "again", workers=1)
    assert read_json(again / "manifest.json")["stages_made"] == 0
    assert (again / FILE).read_bytes() == (recall_run / FILE).read_bytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sides": {"x": {"subject": {"layer": 2}}}}, "sides.x: subject.layer: unknown key"),
        ({"sides": {"x": {"worlds": {}}}}, "unknown key"),
        ({"sides": {"a b": {}}}, "must consist of letters"),
        ({"sides": {"x": {"world": {"kind": "hops"}}}}, "plants no directions"),
        ({"steering": {"doses": [1, 1]}}, "each stands once"),
        ({"looks": {"recurrences": [1, 2]}}, "no subject of this study runs a block several times"),
        ({"looks": {"recurrences": [2, 2]}}, "looks.recurrences: the same number stands twice"),
    ],
)
def test_unfit_sides_are_named(
    recall_study: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    from seedbed.core.config import validate
    from seedbed.core.errors import ConfigError

    with pytest.raises(ConfigError) as error:
        validate(Study, {**recall_study, **changes}, "small.yaml")
    assert words in str(error.value)


def test_worlds_without_directions_are_not_steered(quadrants_study: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="plants no directions"):
        Study.model_validate({**quadrants_study, "steering": {}})
    with pytest.raises(ValueError, match=r"looks\.recurrences: .* plants none"):
        Study.model_validate({**quadrants_study, "looks": {"recurrences": [1, 2]}})
