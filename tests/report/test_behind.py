"""What stands behind a number: the right questions, their sites, and a reason where nothing is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from seedbed.core.files import read_rows, write_rows
from seedbed.core.rows import Document, Question
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.report.behind import BEST, EXCERPT, WORST, Finds
from seedbed.report.behind_files import Rows
from seedbed.scoring.ranking import per_question

FINDER = "gradient-dot"


def marks_of(run: Path, finder: str, metric: str) -> dict[str, float]:
    """The mark of each question of seed 0, by scoring alone."""
    here = run / "seeds" / "0"
    claim = Claim.load(here / f"find-{finder}" / "claim.npz")
    truth = Truth.load(here / "data" / "truth.npz").select(claim.questions)
    known = np.isfinite(truth.values)
    values = per_question(metric, claim.scores, truth.values == 1, known)
    return dict(zip(claim.questions, values.tolist(), strict=True))


@pytest.mark.parametrize("metric", ["average_precision", "roc_auc", "mrr"])
def test_best_and_worst_are_those_of_the_scores(made: Path, metric: str) -> None:
    found = Finds(made).behind("document", FINDER, count=6, metric=metric)
    marks = marks_of(made, FINDER, metric)
    assert (found.reason, found.metric, found.seed) == ("", metric, 0)
    assert found.asked == len(marks)
    for example in found.examples:
        assert example.mark == pytest.approx(marks[example.question])
    ordered = sorted(marks.values())
    best = [e.mark for e in found.examples[:3]]
    worst = [e.mark for e in found.examples[3:]]
    assert best == pytest.approx(ordered[::-1][:3])
    assert worst == pytest.approx(ordered[:3])
    assert {e.end for e in found.examples[:3] if e.mark != ordered[0]} <= {BEST}
    assert {e.end for e in found.examples[3:] if e.mark != ordered[-1]} <= {WORST}
    assert all(e.end == "" for e in found.examples) == (ordered[0] == ordered[-1])


def test_an_example_says_what_was_asked_answered_and_found(made: Path) -> None:
    example = Finds(made).behind("document", FINDER, top=3).examples[0]
    here = made / "seeds" / "0"
    question = {q.id: q for q in read_rows(here / "data/questions.jsonl", Question)}[
        example.question
    ]
    lines = (here / "measure/answers.jsonl").read_text().splitlines()
    said = next(r for r in map(json.loads, lines) if r["id"] == example.question)
    assert (example.prompt, example.answer) == (question.prompt, question.answer.strip())
    assert example.said == said["prediction"].strip()
    assert example.probability == said["probability"]
    claim = Claim.load(here / f"find-{FINDER}" / "claim.npz")
    scores = claim.scores[claim.questions.index(example.question)]
    assert [s.place for s in example.top] == [1, 2, 3]
    assert [s.score for s in example.top] == sorted(scores.tolist(), reverse=True)[:3]
    texts = {d.id: d.text for d in read_rows(here / "data/documents.jsonl", Document)}
    assert [s.text for s in example.top] == [texts[s.site] for s in example.top]
    assert all(s.value == 1 and s.role.startswith("evidence") for s in example.causes)


def test_the_oracle_names_causes_first(made: Path) -> None:
    found = Finds(made).behind("document", "oracle", top=2)
    assert all(e.mark == 1 and e.end == "" for e in found.examples)
    assert all(s.value == 1 for e in found.examples for s in e.top)
    assert all(f"find-{n}" not in f for f in found.files for n in ("oracle",))


def test_marks_by_retraining_where_there_was_some(retrained: Path, made: Path) -> None:
    found = Finds(retrained).behind("document", FINDER, metric="lds")
    assert found.metric == "lds"
    assert all(-1 <= (e.mark or 0) <= 1 for e in found.examples)
    # Without retraining there is no such mark of a question: the leading one stands in, named.
    assert Finds(made).behind("document", FINDER, metric="lds").metric == "average_precision"


def test_equal_calls_give_equal_answers(made: Path) -> None:
    assert Finds(made).behind("document", FINDER) == Finds(made).behind("document", FINDER)


@pytest.fixture
def crossed(fresh: Path) -> Path:
    """A run whose questions were also asked by cells, in one seed."""
    here = fresh / "seeds" / "0" / "crossed" / "cell"
    rows = [
        Question(id=f"c{k}", prompt=f"count {k}: a b =", choices=(" 1", " 2"), answer=" 1",
                 cause=str(k), places={"item1": (9, 10), "item2": (11, 12), "last": (13, 14)})
        for k in range(4)
    ]  # fmt: skip
    sites = tuple(f"resid_pre.{layer}@{p}" for layer in (0, 1) for p in ("item1", "item2", "last"))
    values = np.zeros((4, 6))
    values[:, 1] = 1
    labels = values.astype(np.int16)
    values[0, 5] = np.nan
    ids = tuple(q.id for q in rows)
    truth = Truth(ids, sites, values, labels, ("before", "swapped"), SiteKind.CELL)
    scores = np.tile(np.arange(6.0), (4, 1))
    scores[1] = [0, 9, 1, 2, 3, 4]
    write_rows(here / "data" / "questions.jsonl", rows)
    truth.save(here / "truth.npz")
    Claim(ids, sites, scores, SiteKind.CELL).save(here / "find-patching" / "claim.npz")
    return fresh


def test_crossed_claims_have_their_own_questions_and_truth(crossed: Path) -> None:
    finds = Finds(crossed)
    assert finds.kinds() == ("document", "cell")
    assert finds.finders("cell") == ("patching",)
    found = finds.behind("cell", "patching", count=2)
    best, worst = found.examples
    assert (best.question, best.mark, best.end) == ("c1", 1.0, BEST)
    assert best.top[0].words == "into block 0 at item2"
    assert (best.said, best.probability, best.correct) == ("", None, None)
    assert worst.mark is not None
    assert worst.mark < 1


def test_a_prompt_is_cut_at_its_places(crossed: Path) -> None:
    example = Finds(crossed).behind("cell", "patching", count=2).examples[0]
    assert "".join(p.text for p in example.pieces) == example.prompt
    named = {p.name: (p.text, p.cause, p.place) for p in example.pieces if p.name}
    assert named == {"item1": ("a", 0, 4), "item2": ("b", 1, 1), "last": ("=", 0, 2)}


@pytest.mark.parametrize(
    ("sites", "finder", "reason"),
    [
        ("cell", "patching", "no finder left a claim about cells"),
        ("document", "gradient-dott", "no claim of 'gradient-dott' about documents; there are: "),
        ("layer", "weight-difference", "about groups of questions, not single ones"),
    ],
)
def test_what_is_not_there_is_a_reason(made: Path, sites: str, finder: str, reason: str) -> None:
    found = Finds(made).behind(sites, finder)
    assert reason in found.reason
    assert found.examples == ()


@pytest.mark.parametrize(
    "name",
    [f"find-{FINDER}/claim.npz", "data/truth.npz", "data/questions.jsonl", "measure/answers.jsonl"],
)
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_damage_is_a_reason_that_names_the_file(fresh: Path, name: str, damage: str) -> None:
    path = fresh / "seeds" / "0" / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 3 * (damage == "cut")])
    found = Finds(fresh).behind("document", FINDER, count=30)
    if name.startswith("measure") and not found.reason:
        # Answers that are lost are not known; the rest is there.
        assert any(e.said == "" for e in found.examples)
    else:
        assert str(path) in found.reason
        assert "\n" not in found.reason


def test_a_claim_about_unknown_questions_is_a_reason(fresh: Path) -> None:
    path = fresh / "seeds" / "0" / f"find-{FINDER}" / "claim.npz"
    claim = Claim.load(path)
    Claim((*claim.questions[:-1], "q-none"), claim.sites, claim.scores).save(path)
    reason = Finds(fresh).behind("document", FINDER).reason
    assert "1 questions" in reason
    assert "q-none" in reason


def test_a_folder_without_seeds_has_nothing_behind_it(tmp_path: Path) -> None:
    assert Finds(tmp_path).kinds() == ()
    assert "no finder left a claim" in Finds(tmp_path).behind("document", "bm25").reason


def test_long_documents_are_cut(fresh: Path) -> None:
    path = fresh / "seeds" / "0" / "data" / "documents.jsonl"
    rows = read_rows(path, Document)
    write_rows(path, [d.model_copy(update={"text": d.text + " more" * 200}) for d in rows])
    texts = [s.text for s in Finds(fresh).behind("document", FINDER).examples[0].top]
    assert all(EXCERPT - 5 <= len(t) <= EXCERPT and t.endswith("…") for t in texts)


def test_rows_of_other_writers_are_found_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a", "n": 1}\n\n{"n": 2, "id": "b"}\n{"id": "c\\u0041", "n": 3}\n')
    rows = Rows(path)
    assert [rows.row(name) for name in ("a", "b", "cA")] == [
        {"id": "a", "n": 1}, {"n": 2, "id": "b"}, {"id": "cA", "n": 3},
    ]  # fmt: skip
    assert rows.row("d") is None


def test_claims_about_transcripts_use_the_rows_of_their_ground(fresh: Path) -> None:
    here = fresh / "seeds" / "0"
    ground = here / "incentives" / "own+kto" / "data"
    traced = here / "attribution"
    traced.mkdir()
    shutil.move(here / f"find-{FINDER}", traced / f"find-{FINDER}")
    for folder in [*here.glob("find-*"), fresh / "seeds" / "1"]:
        shutil.rmtree(folder)
    shutil.copytree(here / "data", ground)
    truth = Truth.load(here / "data" / "truth.npz")
    truth.save(traced / "truth.npz")
    (here / "kinds").mkdir()
    truth.save(here / "kinds" / "truth.npz")
    finds = Finds(fresh)
    assert finds.kinds() == ("document",)
    found = finds.behind("document", FINDER)
    assert found.files[0] == f"seeds/0/attribution/find-{FINDER}/claim.npz"
    assert "seeds/0/incentives/own+kto/data/documents.jsonl" in found.files
    assert found.examples
