"""Tables of what directions read, against scikit-learn and by hand."""

from itertools import pairwise

import numpy as np
import pytest

from seedbed.core.cells import Cell
from seedbed.core.directions import DirectionClaim, Directions
from seedbed.core.selectivity import Column
from seedbed.finders.contract_directions import CLASSES, example_questions
from seedbed.finders.directions import DirectionFinder
from seedbed.finders.states import Sweep, held
from seedbed.finders.told import cosines, told


def _given() -> tuple[dict[str, Directions], dict[str, str]]:
    subject, questions = example_questions(60)
    finder = DirectionFinder(measure=("difference", "random"))
    claims = finder.find_all(subject, [], questions, [])
    kinds = {q.id: CLASSES[i % 2] for i, q in enumerate(questions)}
    return {
        v.name: c.directions
        for v, c in zip(finder.variants(), claims, strict=True)
        if isinstance(c, DirectionClaim) and c.directions is not None
    }, kinds


def test_columns_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    subject, questions = example_questions(60)
    given, kinds = _given()
    asked = [q for q in questions if not q.label][:-1]
    asked[0] = asked[0].model_copy(update={"places": {}, "cause": "c"})
    unknown = asked[1].model_copy(update={"id": "elsewhere"})
    table = told(subject, given, [*asked, unknown], kinds)["decodable:all"]
    assert table.units == tuple(q.id for q in asked)
    assert table.causes == ("c", *(q.id for q in asked[1:]))
    for name, d in given.items():
        for row, site in enumerate(d.sites):
            x = held(subject, asked, [Cell.parse(site)]).at(Cell.parse(site)).numpy()
            here = np.isfinite(x[:, 0])
            assert here.sum() == len(asked) - ("last" not in site)
            y = np.array([kinds[q.id] == "stored" for q in asked])[here]
            score = x[here].astype(np.float64) @ d.vectors[row] - d.middle[row]
            area, rate = (table.column(Column(n, name, site).key) for n in ("auc", "accuracy"))
            assert np.isnan(area[~here]).all()
            assert np.nanmean(area) == pytest.approx(metrics.roc_auc_score(y, score), abs=1e-9)
            # A threshold at the median may be a state's own value, which is on neither side.
            sure = np.abs(score) > 1e-6
            assert np.array_equal(rate[here][sure], ((score > 0) == y)[sure])
            assert sure.mean() > 0.5
        chosen = table.column(Column("auc", name, "chosen").key)
        same = table.column(Column("auc", name, d.made["site"]).key)
        assert np.array_equal(chosen, same, equal_nan=True)


def test_other_classes_turn_the_area_round_and_leave_the_directions() -> None:
    subject, questions = example_questions(60)
    given, kinds = _given()
    asked = [q for q in questions if not q.label]
    turned = {q: CLASSES[1 - CLASSES.index(kind)] for q, kind in kinds.items()}
    a, b = (told(subject, given, asked, k)["decodable:all"] for k in (kinds, turned))
    assert np.allclose(a.values.mean(0), 1 - b.values.mean(0))


def test_cosines_are_of_sites_at_one_place_and_of_methods_at_one_site() -> None:
    given, _ = _given()
    table = cosines(given)["cosine:all"]
    found = dict(zip((Column.parse(c) for c in table.columns), table.values[0], strict=True))
    for column, value in found.items():
        sites, names = column.site.split("/"), column.direction.split("/")
        assert (len(sites), len(names)) in {(2, 1), (1, 2)}
        assert len({Cell.parse(site).place for site in sites}) == 1
        a, b = given[names[0]], given[names[-1]]
        u, v = a.vectors[a.at(sites[0])], b.vectors[b.at(sites[-1])]
        assert value == pytest.approx(float(u @ v), abs=1e-9)
    assert Column("cosine", "difference", "resid_pre.0@name/resid_post.1@name") in found
    assert Column("cosine", "difference/random", "resid_pre.0@name") in found
    assert cosines({}) == {}


def test_without_questions_of_a_known_class_only_vectors_are_compared() -> None:
    subject, questions = example_questions(60)
    given, _ = _given()
    assert set(told(subject, given, questions, {})) == {"cosine:all"}
    assert told(subject, {}, questions, {}) == {}


def test_cosines_of_many_sites_are_of_some_spread_evenly() -> None:
    sites = [f"resid_pre.{i}@{place}" for i in range(40) for place in ("a", "b")]
    vectors = np.random.default_rng(0).normal(size=(80, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    one = np.ones(80)
    given = Directions(tuple(sites), vectors, one, one, one, "stored", "computed")
    table = cosines({"x": given})["cosine:all"]
    found = [tuple(Column.parse(c).site.split("/")) for c in table.columns]
    assert len(found) == 2 * 16 * 15 // 2
    layers = sorted({Cell.parse(site).layer for pair in found for site in pair})
    assert (len(layers), layers[0], layers[-1]) == (16, 0, 39)
    assert {b - a for a, b in pairwise(layers)} == {2, 3}
    for value, (a, b) in zip(table.values[0], found, strict=True):
        assert value == pytest.approx(float(vectors[sites.index(a)] @ vectors[sites.index(b)]))


def test_means_with_and_without_the_answer_are_each_read_as_they_were_fitted() -> None:
    subject, questions = example_questions(60)
    kinds = {q.id: CLASSES[i % 2] for i, q in enumerate(questions)}
    given = {}
    for name, answer in (("prompt", False), ("both", True)):
        sweep = Sweep(places=("mean",), answer=answer)
        (claim,) = DirectionFinder(sweep=sweep).find_all(subject, [], questions, [])
        assert isinstance(claim, DirectionClaim)
        assert claim.directions is not None
        given[name] = claim.directions
    table = told(subject, given, questions, kinds)["decodable:all"]
    for name, d in given.items():
        alone = told(subject, {name: d}, questions, kinds)["decodable:all"]
        assert len(alone.columns) == 2 * (len(d.sites) + 1)
        for column in alone.columns:
            np.testing.assert_array_equal(table.column(column), alone.column(column))
