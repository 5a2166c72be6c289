"""Verdicts: expected values, and detectors that pass nothing they have not looked at."""

import pytest

from seedbed.core.transcripts import Verdict
from seedbed.simulation.judging import stops, verdict


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"1": 0.1, "10": 0.3}, 7.75),
        ({"-1": 0.5, "2.5": 0.5}, 0.75),
        ({"yes": 0.2, "no": 0.6}, 0.25),
        ({"no": 1.0, "yes": 0.0}, 0.0),
        ({"stay": 1.0, "leave": 3.0}, None),
        ({"nan": 0.5, "1": 0.5}, None),
        ({"inf": 1.0}, None),
    ],
)
def test_the_value_is_the_expected_one(options: dict[str, float], value: float | None) -> None:
    found = verdict(options, mass=0.9)
    assert found.value == (None if value is None else pytest.approx(value))
    assert sum(found.options.values()) == pytest.approx(1.0)
    assert list(found.options) == list(options)
    assert found.mass == 0.9


@pytest.mark.parametrize("options", [{}, {"1": 0.0, "2": 0.0}])
def test_no_probability_is_no_verdict(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no option has any probability"):
        verdict(options)


def test_a_detector_stops_what_it_sees_and_what_it_could_not_look_at() -> None:
    assert stops(verdict({"yes": 0.5, "no": 0.5}), 0.5)
    assert not stops(verdict({"yes": 0.49, "no": 0.51}), 0.5)
    assert stops(verdict({"1": 0.0, "5": 1.0}), 3)
    assert not stops(verdict({"1": 1.0, "5": 0.0}), 3)
    assert stops(Verdict(error="no answer within 5 s"), 0.5)
    assert stops(verdict({"harmful": 0.0, "fine": 1.0}), 0.5)
