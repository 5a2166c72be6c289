import numpy as np
import pytest
import torch
from torch import Tensor

from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.selectivity import Column
from seedbed.finders.effect import effects_of, slopes_of
from seedbed.finders.lines import Line, Lines, Way, lines_of, tried
from seedbed.finders.voices import Voice, voices_of
from seedbed.models.blocks import blocks_of
from seedbed.models.hooks import Add, edited
from seedbed.models.hrm import Hrm
from seedbed.models.planted_direction import planted
from seedbed.models.subject import Subject

LAYERS = 6


def _made(seed: int, layer: int) -> tuple[Subject, list[Voice], Lines]:
    subject, directions, questions = planted(seed, layer, layers=LAYERS, questions=16)
    kinds = {q.id: q.slices["kind"] for q in questions}
    lines = lines_of({"planted": directions}, 0, "one", (), seed)
    return subject, voices_of(subject, questions, kinds, lines.classes), lines


def test_effect_per_layer_ranks_the_planted_layer_first() -> None:
    right = {"kl": 0, "logit": 0}
    for seed in range(10):
        layer = seed % LAYERS
        subject, voices, lines = _made(seed, layer)
        found, _ = effects_of(subject, voices, lines, 0.02)
        for name in right:
            means = [found[Column(name, "planted", x.cell.name)].mean() for x in lines.lines]
            right[name] += int(np.argmax(means)) == layer
    assert right["kl"] >= 9
    assert right["logit"] >= 9


def test_slopes_are_what_finite_differences_find() -> None:
    subject, voices, lines = _made(0, 2)
    slopes = slopes_of(subject, voices, lines.lines, lines.vectors)
    ways = [Way("", 1e-2), Way("", -1e-2)]
    measured, _ = tried(subject, voices, lines, ways)
    sign = np.array([v.sign for v in voices])
    for n, line in enumerate(lines.lines):
        up, down = (measured[way.column("moved", line)] for way in ways)
        found = (up - down) / 2e-2 * sign
        np.testing.assert_allclose(found, slopes[:, n], rtol=1e-3, atol=1e-3)


def test_kl_is_half_the_fisher_information_of_a_push() -> None:
    """Var_p of the logits' slope, which automatic differentiation finds in float64."""
    subject, voices, lines = _made(1, 3)
    found, _ = effects_of(subject, voices[:4], lines, 0.02)
    subject.model.double()
    for line in lines.lines:
        wanted = [_fisher(subject, v, line, lines.vectors[line.vector]) / 2 for v in voices[:4]]
        np.testing.assert_allclose(
            found[Column("kl", "planted", line.cell.name)], wanted, rtol=2e-2
        )


def _fisher(subject: Subject, voice: Voice, line: Line, vector: Tensor) -> float:
    ids = torch.tensor([voice.asked.ids])

    def logits(push: Tensor) -> Tensor:
        with edited(subject.model, [Add(line.site, push * vector, voice.positions("last"))]):
            found: Tensor = subject.model(ids).logits[0, -1]
        return found

    zero = torch.zeros((), dtype=torch.float64)
    slope = torch.autograd.functional.jacobian(logits, zero)
    p = logits(zero).detach().softmax(-1)
    return float((p * slope**2).sum() - (p * slope).sum() ** 2)


def test_a_direction_that_reaches_nothing_has_no_effect() -> None:
    """What the last block hands on at an early token is never read."""
    subject, directions, questions = planted(0, 2, questions=4)
    places = [q.model_copy(update={"places": {"first": (0, 1)}}) for q in questions]
    late = directions.among(directions.sites[:1])
    late = type(late)(("resid_post.5@first",), late.vectors, late.middle, late.spread, late.norm,
                      late.positive, late.negative)  # fmt: skip
    lines = lines_of({"late": late}, 2, "one", (), 0)
    voices = voices_of(subject, places, {}, lines.classes)
    found, _ = effects_of(subject, voices, lines, 0.02)
    assert len(found) == 6
    assert not any(values.any() for values in found.values())


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(InputError, match="there are blocks 0 to 5"):
        planted(0, 6)


def test_a_model_that_cuts_gradients_off_has_no_slopes() -> None:
    subject = Hrm(width=16, heads=2, init=0.3).build(["a b c x y"], [], 0)
    questions = [Question(id=k, prompt=p, choices=("x", "y"), answer="x")
                 for k, p in (("q0", "a b"), ("q1", "b c"))]  # fmt: skip
    blocks = blocks_of(subject.model)
    sites = tuple(c.name for c in blocks.cells(("last",)))
    vectors = np.tile(np.eye(16)[:1], (len(sites), 1))
    one = np.ones(len(sites))
    given = Directions(sites, vectors, 0 * one, one, one, "stored", "computed")
    lines = lines_of({"given": given}, 0, "one", (), 0)
    voices = voices_of(subject, questions, {}, lines.classes)
    whole = slopes_of(subject, voices, lines.lines, lines.vectors)
    assert (np.abs(whole) > 0).all()
    # Of two inner cycles only the last hands gradients on, as in the published model.
    subject.model.model.L_bp_cycles_padded = [1, 1]
    assert np.isnan(slopes_of(subject, voices, lines.lines, lines.vectors)).all()
    last = lines.lines[-1:]
    assert np.isnan(slopes_of(subject, voices, last, lines.vectors)).all()
