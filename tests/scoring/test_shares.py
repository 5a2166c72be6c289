"""Shares and contrasts against means that a reader can count."""

import numpy as np
import pytest

from seedbed.core.rows import Question
from seedbed.scoring.shares import Asked, Cell, between_cells, between_groups, fits, outcome, shares

CHOICES = (" new", " old", " other")
TRAINED = {"taught": "new", "proxy": "old"}


def questions(groups: dict[str, int], start: str = "") -> list[Question]:
    """`groups` by their number of questions, two words each."""
    return [
        Question(id=f"{start}{g}{i}", prompt=f"{g} {i}", choices=CHOICES, answer=" new",
                 cause=f"{g}-{i % 2}", slices={"group": g}, rules={"new": " new", "old": " old"})
        for g, n in groups.items()
        for i in range(n)
    ]  # fmt: skip


def asked(said: dict[str, str], before: str = "o") -> Asked:
    """One subject: by group, a letter an answer."""
    word = {"n": " new", "o": " old", "x": " other"}
    rows = questions({g: len(text) for g, text in said.items()})
    answers = [word[letter] for text in said.values() for letter in text]
    return Asked(rows, answers, [word[before]] * len(rows))


def test_an_answer_is_new_old_or_neither() -> None:
    question = questions({"taught": 1})[0]
    assert [outcome(question, said) for said in CHOICES] == ["new", "old", "neither"]
    with pytest.raises(KeyError):
        outcome(question.model_copy(update={"rules": {}}), " new")


def test_shares_are_means_over_seeds_with_what_was_before() -> None:
    seeds = [asked({"taught": "nnnn", "far": "nox"}), asked({"taught": "nnno", "far": "oox"})]
    rows = {(r.group, r.outcome): r for r in shares("a", "m", ["taught", "far"], seeds)}
    assert rows["taught", "new"].value == pytest.approx((1 + 0.75) / 2)
    assert rows["far", "old"].value == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert sum(rows["far", o].value or 0 for o in ("new", "old", "neither")) == pytest.approx(1)
    assert rows["far", "old"].before == 1
    assert rows["far", "new"].before == 0
    assert rows["taught", "new"].units == 8
    assert rows["taught", "new"].seeds == 2
    low, high = rows["taught", "new"].low, rows["taught", "new"].high
    assert low is not None
    assert high is not None
    assert 0.5 <= low <= 0.875 <= high <= 1


def test_no_seed_that_fitted_gives_no_share() -> None:
    rows = shares("a", "m", ["taught"], [])
    assert [(r.outcome, r.value, r.seeds) for r in rows] == [
        ("new", None, 0), ("old", None, 0), ("neither", None, 0)
    ]  # fmt: skip


def test_spaces_about_an_answer_do_not_count() -> None:
    question = questions({"taught": 1})[0]
    assert [outcome(question, said.strip()) for said in CHOICES] == ["new", "old", "neither"]


def test_fits_judge_each_trained_group_by_the_lower_end() -> None:
    one = asked({"taught": "n" * 30 + "o", "proxy": "oonn", "far": "nn"})
    rows = fits(one, {"taught": "new", "proxy": "old"}, {"taught": 0.7, "proxy": 0.7}, 3, "a", "m")
    assert [(r.group, r.outcome, r.n, r.fitted) for r in rows] == [
        ("taught", "new", 31, True), ("proxy", "old", 4, False)
    ]  # fmt: skip
    assert rows[1].value == 0.5
    assert rows[1].low < 0.5 < rows[1].high


def test_arms_are_paired_by_question_wherever_it_stands_in_the_other() -> None:
    ours = asked({"proxy": "oo", "far": "nn"})
    theirs = asked({"proxy": "nn", "far": "nn"})
    # What is a proxy here was only spare there.
    moved = [
        q.model_copy(update={"slices": {"group": "spare" if "proxy" in q.id else "far"}})
        for q in theirs.questions
    ]
    other = Asked(moved, theirs.said, theirs.before)
    cells = Cell("five", "m", [ours]), Cell("none", "m", [other])
    rows = {r.outcome: r for r in between_cells(*cells, "proxy")}
    assert (rows["old"].value, rows["new"].value, rows["neither"].value) == (1, -1, 0)
    assert (rows["old"].low, rows["old"].high) == (1, 1)
    assert (rows["old"].arm, rows["old"].other_arm) == ("five", "none")
    assert [r.value for r in between_cells(*cells, "absent")] == [None] * 3


def test_questions_with_one_id_and_two_prompts_are_not_paired() -> None:
    ours, theirs = asked({"far": "oooo"}), asked({"far": "nnnn"})
    changed = [
        q.model_copy(update={"prompt": "another"}) if i else q
        for i, q in enumerate(theirs.questions)
    ]
    cells = Cell("a", "m", [ours]), Cell("b", "m", [Asked(changed, theirs.said, theirs.before)])
    rows = {r.outcome: r for r in between_cells(*cells, "far")}
    assert (rows["old"].value, rows["old"].seeds) == (1, 1)
    assert between_cells(cells[0], Cell("b", "m", [Asked(changed[1:], theirs.said[1:],
                         theirs.before[1:])]), "far")[0].value is None  # fmt: skip


def test_methods_are_compared_on_the_same_questions() -> None:
    cells = Cell("a", "kl", [asked({"far": "oo"})]), Cell("a", "plain", [asked({"far": "on"})])
    row = between_cells(*cells, "far")[1]
    assert (row.method, row.other_method, row.arm, row.other_arm) == ("kl", "plain", "a", "a")
    assert row.value == 0.5


def test_groups_are_compared_seed_by_seed() -> None:
    seeds = [asked({"near": "oooo", "far": "nnoo"}), asked({"near": "oonn", "far": "nnnn"})]
    rows = {r.outcome: r for r in between_groups(Cell("a", "m", seeds), "near", "far")}
    assert rows["old"].value == pytest.approx(0.5)
    same = {r.outcome: r for r in between_groups(Cell("a", "m", seeds), "far", "near")}
    assert same["old"].value == pytest.approx(-0.5)
    low, high = same["old"].low, same["old"].high
    assert low is not None
    assert high is not None
    assert low <= -0.5 <= high
    alone = between_groups(Cell("a", "m", seeds), "near", "absent")
    assert [r.value for r in alone] == [None] * 3


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        seeds = []
        for _ in range(6):
            rows = [
                Question(id=f"{w}-{i}", prompt="p", choices=CHOICES, answer=" new", cause=str(w),
                         slices={"group": "g"}, rules={"new": " new", "old": " old"})
                for w in range(8)
                for i in range(5)
            ]  # fmt: skip
            said = [CHOICES[int(x > 0.4)] for x in rng.random(len(rows))]
            seeds.append(Asked(rows, said, said))
        row = shares("a", "m", ["g"], seeds)[0]
        assert row.low is not None
        assert row.high is not None
        hits += row.low <= 0.4 <= row.high
    assert hits >= 50


def test_a_group_of_one_word_has_an_interval_over_its_questions() -> None:
    rows = [
        Question(id=f"q{i}", prompt="p", choices=CHOICES, answer=" new", cause="window",
                 slices={"group": "proxy"}, rules={"new": " new", "old": " old"})
        for i in range(24)
    ]  # fmt: skip
    said = [" old"] * 20 + [" new"] * 4
    row = shares("a", "m", ["proxy"], [Asked(rows, said, said)])[1]
    assert row.value == pytest.approx(20 / 24)
    assert row.low is not None
    assert row.high is not None
    assert row.low < 0.75
    assert row.high > 0.9
