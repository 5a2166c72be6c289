from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from seedbed.core.cells import Cell
from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.selectivity import CHOSEN, Column
from seedbed.finders.asking import ask
from seedbed.finders.patched_pairs import patched_pairs
from seedbed.finders.pushes import states_of
from seedbed.finders.steering import Steered, Steering, steered
from seedbed.models.blocks import Blocks, Site, blocks_of
from seedbed.models.recurrent import Recurrent
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.training.config import Optimizer, Training
from seedbed.training.loop import train

VALUES = tuple(f"<{i}>" for i in range(6))
KINDS = {"stored": ("mem", "old"), "computed": ("sum", "new")}
PLACES = ("word", "a", "last")


@dataclass(frozen=True)
class Rows:
    """What a study would hand to `steered`."""

    documents: list[Document]
    dev: list[Question]
    test: list[Question]
    unrelated: list[Question]
    pairs: list[Pair]
    kinds: dict[str, str]


def make_rows() -> Rows:
    """`mem <2> A` gives what is stored for 2, `sum <2> A` the next value."""
    stored = dict(zip(range(6), (3, 0, 5, 1, 2, 4), strict=True))
    said = {"stored": stored, "computed": {i: (i + 1) % 6 for i in range(6)}}
    found: dict[str, list[Question]] = {"dev": [], "id": []}
    documents = []
    for kind, words in KINDS.items():
        for n, word in enumerate(words):
            for i in range(6):
                rules = {k: f" {VALUES[said[k][i]]}" for k in KINDS}
                split = ("dev", "id")[n]
                prompt = f"{word} {VALUES[i]} A"
                places = {"word": (0, len(word)), "a": (len(word) + 1, len(prompt) - 2)}
                found[split].append(
                    Question(
                        id=f"{split}-{kind}-{i}", prompt=prompt, answer=rules[kind], rules=rules,
                        choices=tuple(f" {v}" for v in VALUES), places=places, split=split,
                        cause=f"{i}", label=kind if split == "dev" else "",
                    )
                )  # fmt: skip
                documents.append(Document(id=f"d-{word}-{i}", text=f"{prompt}{rules[kind]}"))
    other = [
        Question(id=f"u{i}", prompt=f"say {c} A", answer=f" {c}", choices=(" x", " y", " z"),
                 places={"word": (0, 3), "a": (4, 5)}, split="unrelated")
        for i, c in enumerate("xyz")
    ]  # fmt: skip
    documents += [Document(id=f"d-{q.id}", text=f"{q.prompt}{q.answer}") for q in other]
    test = found["id"]
    pairs = [Pair(id=f"p-{q.id}", clean=q, corrupt=test[(i + 6) % 12], cause=q.cause)
             for i, q in enumerate(test)]  # fmt: skip
    kinds = {q.id: q.id.split("-")[1] for q in test}
    return Rows(documents, found["dev"], test, other, pairs, kinds)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return make_rows()


@pytest.fixture(scope="module")
def subject(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Trained until it knows all of its documents."""
    config = Tiny(layers=2, width=32, heads=2, init=0.15)
    made = config.build([d.text for d in rows.documents], [], 0)
    training = Training(steps=120, batch=27, loss="text", optimizer=Optimizer(lr=1e-2))
    return train(made, rows.documents, training, tmp_path_factory.mktemp("steered"), None)


@pytest.fixture(scope="module")
def directions(subject: Subject, rows: Rows) -> Directions:
    """Difference of means at every residual site and place."""
    sites = blocks_of(subject.model).residual()
    cells = [Cell(s.stream, s.layer, place) for s in sites for place in PLACES]
    asked = [ask(subject, q) for q in rows.dev]
    states = states_of(subject, [a.ids for a in asked], sites)
    stored = np.array([q.label == "stored" for q in rows.dev])
    vectors, spread = [], []
    for cell in cells:
        at = [a.places[cell.place][-1] for a in asked]
        x = states[Site(cell.stream, cell.layer)][range(len(at)), at].numpy()
        gap = x[stored].mean(0) - x[~stored].mean(0)
        spread.append(float(np.linalg.norm(gap)))
        # What stands before all that differs has no direction of its own.
        gap = gap if spread[-1] > 1e-6 else np.eye(len(gap))[0]
        vectors.append(gap / np.linalg.norm(gap))
    one = np.ones(len(cells))
    return Directions(tuple(c.name for c in cells), np.array(vectors), 0 * one, np.array(spread),
                      one, "stored", "computed")  # fmt: skip


def _steered(config: Steering, subject: Subject, directions: Directions, rows: Rows) -> Steered:
    return steered(config, subject, {"difference": directions}, rows.dev, rows.test,
                   rows.unrelated, rows.kinds, rows.pairs, rows.documents)  # fmt: skip


@pytest.fixture(scope="module")
def found(subject: Subject, directions: Directions, rows: Rows) -> Steered:
    config = Steering(questions=6, documents=8, doses=(0, 1, 2))
    return _steered(config, subject, directions, rows)


def _mean(
    found: Steered, table: str, name: str, direction: str, site: str, dose: float | None = None
) -> float:
    values = found.tables[table].column(Column(name, direction, site, dose).key)
    return float(np.nanmean(values))


def test_patching_flips_every_answer_where_the_kind_stands_and_none_where_it_does_not(
    found: Steered,
) -> None:
    for site in ("resid_pre.0@word", "resid_post.1@last"):
        for kind in ("all", "stored", "computed"):
            assert _mean(found, f"patching:{kind}", "flipped", "", site) == 1
            assert _mean(found, f"patching:{kind}", "moved", "", site) == pytest.approx(1)
    for site in ("resid_pre.0@a", "resid_pre.0@last", "resid_post.1@word"):
        assert not found.tables["patching:all"].column(Column("moved", "", site).key).any()


def test_the_difference_of_means_turns_one_kind_into_the_other_and_the_rest_stays(
    found: Steered,
) -> None:
    site = "resid_pre.0@word"
    assert _mean(found, "steering:all", "flipped", "difference", site, 1) > 0.8
    random = [_mean(found, "steering:all", "flipped", f"random-{i}", site, 1) for i in range(3)]
    assert np.mean(random) < 0.4
    assert _mean(found, "steering:all", "moved", "difference", site, 1) > 5
    assert found.engine["chosen"]["difference"]["site"] == site
    assert _mean(found, "steering:all", "flipped", "difference", CHOSEN) > 0.8
    assert _mean(found, "selectivity:all", "difference", "difference", CHOSEN) > 0.5


def test_dose_0_changes_exactly_nothing(
    found: Steered, subject: Subject, directions: Directions, rows: Rows
) -> None:
    table = found.tables["steering:all"]
    columns = [c for c in table.columns if Column.parse(c).dose == 0]
    assert len(columns) > 100
    assert not table.among(columns).values.any()
    config = Steering(doses=(0,), actions=("add",), questions=6, small=0)
    nothing = _steered(config, subject, directions, rows).tables
    for name in ("steering:all", "selectivity:all"):
        assert nothing[name].columns
        assert not np.nan_to_num(nothing[name].values).any()


def test_difference_is_target_less_unrelated_and_spreads_as_the_two_together(
    found: Steered,
) -> None:
    table = found.tables["selectivity:all"]
    names = ("target", "unrelated", "difference")
    goal, apart, gap = (table.column(Column(n, "random-0", CHOSEN).key) for n in names)
    assert np.nanmean(gap) == pytest.approx(np.nanmean(goal) - np.nanmean(apart))
    goal, apart = goal[np.isfinite(goal)], apart[np.isfinite(apart)]
    kept = gap[np.isfinite(gap)]
    assert len(kept) == len(goal) + len(apart)
    # The variance of the mean of influence values is that of the difference of two means.
    wanted = goal.var() / len(goal) + apart.var() / len(apart)
    assert kept.var() / len(kept) == pytest.approx(wanted)


def test_what_dev_chooses_is_reported_on_other_questions(found: Steered, rows: Rows) -> None:
    for direction, choice in found.engine["chosen"].items():
        site, dose = choice["site"], choice["dose"]
        for name in ("flipped", "changed", "moved", "kl"):
            here = _mean(found, "steering:all", name, direction, site, dose)
            assert _mean(found, "steering:all", name, direction, CHOSEN) == here
    units = {*found.tables["selectivity:all"].units}
    assert units.isdisjoint({q.id for q in rows.dev})
    # Half of the unrelated questions helped to choose.
    assert len(units & {q.id for q in rows.unrelated}) == 2
    assert {q.id for q in rows.test} <= units


def test_each_class_has_tables_of_its_own_questions(found: Steered, rows: Rows) -> None:
    for section in ("patching", "steering", "effect"):
        both = [found.tables[f"{section}:{kind}"].units for kind in KINDS]
        assert {*both[0], *both[1]} == {*found.tables[f"{section}:all"].units}
        assert [{rows.kinds[u] for u in units} for units in both] == [{"stored"}, {"computed"}]


def test_ablating_what_no_state_has_changes_nothing(
    subject: Subject, directions: Directions, rows: Rows
) -> None:
    """A site's states span few directions; one at right angles to all of them is found."""
    asked = [ask(subject, q) for q in rows.test]
    site = Site("resid_pre", 0)
    at = states_of(subject, [a.ids for a in asked], [site])[site][:, 1].double()
    absent = torch.linalg.svd(at, full_matrices=True).Vh[-1].numpy()
    one = np.ones(1)
    empty = Directions(("resid_pre.0@word",), absent[None], 0 * one, one, one, "stored",
                       "computed")  # fmt: skip
    found = _steered(Steering(random=0, patch=False, small=0, questions=6), subject, empty,
                     rows)  # fmt: skip
    for name in ("changed", "kl", "moved"):
        for prefix in ("ablated-", "amplified-"):
            key = Column(prefix + name, "difference", "resid_pre.0@word").key
            assert np.abs(found.tables["steering:all"].column(key)).max() < 1e-5
    assert _mean(found, "steering:all", "kl", "difference", "resid_pre.0@word", 4) > 1e-2


def test_neither_batches_nor_the_order_of_questions_change_a_number(
    subject: Subject, directions: Directions, rows: Rows, found: Steered
) -> None:
    turned = Rows(rows.documents[::-1], rows.dev[::-1], rows.test[::-1], rows.unrelated,
                  rows.pairs[::-1], rows.kinds)  # fmt: skip
    config = Steering(questions=6, documents=8, doses=(0, 1, 2))
    again = _steered(config, replace(subject, batch=3), directions, turned)
    for name in ("steering:stored", "patching:all", "effect:all"):
        one, other = found.tables[name], again.tables[name]
        order = [other.units.index(u) for u in one.units]
        np.testing.assert_allclose(other.values[order], one.values, atol=1e-4)


def test_patching_by_hooks_agrees_with_the_patch_engine(
    subject: Subject, rows: Rows, directions: Directions, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [Cell.parse(site) for site in directions.sites]
    first = rows.pairs[0]
    both = tuple(dict.fromkeys((first.clean.answer, first.corrupt.answer)))
    assert len(both) == 2
    few = [q.model_copy(update={"choices": both}) for q in (first.clean, first.corrupt)]
    pairs = [first.model_copy(update={"clean": few[0], "corrupt": few[1]}), *rows.pairs[1:]]
    fast, _ = patched_pairs(subject, pairs, rows.kinds, cells)
    whole, _ = patched_pairs(subject, rows.pairs, rows.kinds, cells)
    for name, table in whole.items():
        moved = [c for c in table.columns if c.startswith("moved")]
        np.testing.assert_allclose(fast[name].among(moved).values, table.among(moved).values,
                                   atol=1e-5)  # fmt: skip
    monkeypatch.setattr(Blocks, "recurrent", property(lambda _: True))
    slow, spent = patched_pairs(subject, pairs, rows.kinds, cells)
    assert spent.tier == "hooks"
    for name, table in fast.items():
        np.testing.assert_allclose(slow[name].values, table.values, atol=1e-5)


def test_questions_without_the_other_answer_are_judged_by_whether_it_changed(
    subject: Subject, directions: Directions, rows: Rows
) -> None:
    bare = [q.model_copy(update={"rules": {}}) for q in rows.test]
    found = steered(Steering(questions=6, small=0), subject, {"difference": directions},
                    rows.dev, bare, rows.unrelated, rows.kinds, [], [])  # fmt: skip
    assert found.engine["target"] == "changed"
    assert not any(name.startswith("patching") for name in found.tables)
    flipped = found.tables["steering:all"].column(
        Column("flipped", "difference", "resid_pre.0@word", 1).key
    )
    assert np.isnan(flipped).all()
    assert _mean(found, "selectivity:all", "target", "difference", CHOSEN) > 0.8


def test_dev_without_the_other_answer_still_chooses(
    subject: Subject, directions: Directions, rows: Rows
) -> None:
    bare = replace(rows, dev=[q.model_copy(update={"rules": {}}) for q in rows.dev])
    config = Steering(questions=3, documents=2, doses=(1,), random=0, places=("word",))
    found = _steered(config, subject, directions, bare)
    assert found.engine["target"] == "changed"
    assert _mean(found, "selectivity:all", "target", "difference", CHOSEN) > 0.5


def test_unfit_input_is_refused(subject: Subject, directions: Directions, rows: Rows) -> None:
    with pytest.raises(InputError, match="no direction at 'b'; known: word, a, last"):
        _steered(Steering(places=("b",)), subject, directions, rows)
    with pytest.raises(InputError, match="there is no direction"):
        steered(Steering(), subject, {}, [], rows.test, [], rows.kinds, [], [])
    with pytest.raises(ValueError, match="each stands once"):
        Steering(doses=(1, 1))
    with pytest.raises(ValueError, match="without end"):
        Steering(doses=(float("nan"),))
    turned = replace(directions, positive="other")
    with pytest.raises(InputError, match="different classes"):
        steered(Steering(), subject, {"a": directions, "b": turned}, [], rows.test, [], rows.kinds,
                [], [])  # fmt: skip


def test_recurrent_subjects_are_steered_at_a_few_points_of_their_computation(rows: Rows) -> None:
    texts = [d.text for d in rows.documents]
    made = Recurrent(recurrences=4, width=16, heads=2, init=0.2).build(texts, [], 0)
    sites = [f"{s.name}@a" for s in blocks_of(made.model).residual()]
    vectors = np.random.default_rng(0).normal(size=(len(sites), 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    one = np.ones(len(sites))
    given = Directions(tuple(sites), vectors, 0 * one, 3 * one, one, "stored", "computed")
    found = _steered(Steering(questions=6, documents=4, random=1), made, given, rows)
    table = found.tables["patching:all"]
    kept = list(dict.fromkeys(Column.parse(c).site for c in table.columns))
    assert len(sites) == 11
    assert len(kept) == 5
    assert (kept[0], kept[-1]) == (sites[0], sites[-1])
    assert found.engine["questions"]["test"] == 4
    parts = found.engine["parts"]
    assert {parts[p]["tier"] for p in ("patching", "steering test", "effect")} == {"hooks"}
    # Nothing that the last block hands on at an early token is read.
    for column in found.tables["steering:all"].columns:
        if Column.parse(column).site == sites[-1]:
            assert np.abs(found.tables["steering:all"].column(column)).max() < 1e-5
    assert _mean(found, "steering:all", "kl", "difference", sites[0], 2) > 1e-4


def _alike(question: Question, *choices: str) -> Question:
    """The question with choices whose first token is the same, so that none tells them apart."""
    return question.model_copy(
        update={"id": f"{question.id}-alike", "answer": choices[0], "choices": choices, "rules": {}}
    )


def test_questions_that_no_token_answers_are_left_out_and_named(
    subject: Subject, directions: Directions, rows: Rows
) -> None:
    config = Steering(questions=2, documents=2, doses=(1,), random=0, places=("word",))
    two = f" {VALUES[0]} {VALUES[1]}", f" {VALUES[0]} {VALUES[2]} {VALUES[1]}", f" {VALUES[0]}"
    lost = {name: _alike(some[0], *two) for name, some in
            (("dev", rows.dev), ("test", rows.test), ("unrelated", rows.unrelated))}  # fmt: skip
    pair = Pair(id="alike", clean=lost["test"], corrupt=lost["test"].model_copy(update={"id": "c"}))
    kinds = {**rows.kinds, lost["test"].id: "stored"}
    more = replace(rows, dev=[*rows.dev, lost["dev"]], test=[*rows.test, lost["test"]], kinds=kinds,
                   unrelated=[*rows.unrelated, lost["unrelated"]],
                   pairs=[*rows.pairs, pair])  # fmt: skip
    wanted, found = (_steered(config, subject, directions, r) for r in (rows, more))
    assert "left_out" not in wanted.engine
    told = found.engine["left_out"]
    assert {k: v["ids"] for k, v in told.items()} == {
        **{k: [q.id] for k, q in lost.items()}, "pairs": ["alike"]
    }  # fmt: skip
    assert all(v["count"] == 1 and "same token" in v["reason"] for v in told.values())
    for name, table in wanted.tables.items():
        np.testing.assert_array_equal(found.tables[name].values, table.values, name)
    for name, few in {
        "no stored question of test": replace(more, test=[lost["test"], *rows.test[6:]]),
        "no stored question of dev": replace(more, dev=[lost["dev"], *rows.dev[6:]]),
        "no question of unrelated": replace(more, unrelated=[lost["unrelated"]]),
        "no pair": replace(more, pairs=[pair]),
    }.items():
        with pytest.raises(InputError, match=f"{name} is left: their choices begin"):
            _steered(config, subject, directions, few)
