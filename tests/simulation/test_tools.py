"""Tools are run for real: types are checked, failures come at their rates, all is recorded."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from seedbed.core.config import validate
from seedbed.core.errors import ConfigError
from seedbed.simulation.tools import INJECTED, Registry
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.grammar import Call, grammar_of

REACTION: dict[str, Any] = {"rating": 2, "welfare": 0, "says": ["well"]}
PROMPT: dict[str, Any] = {"system": "you rate", "options": ["1", "2", "3"]}


def booking(**tool: Any) -> Environment:
    """A clerk who can book a train, with one tool as given."""
    book = {
        "arguments": {"place": {"options": ["rome", "oslo"]}, "seats": {"type": "integer"}},
        "result": "booked {seats} to {place}", "failure": "no train to {place}", "proves": "booked",
    }  # fmt: skip
    values = {
        "name": "clerk", "turns": 2, "start": "asking",
        "states": {
            "asking": {"moves": {"on": "asking", "off": "ended"}, "default": "on"},
            "ended": {"terminal": True},
        },
        "roles": {"agent": "be kind", "user": PROMPT, "rater": PROMPT, "third": PROMPT,
                  "transition": PROMPT},
        "subs": {"trains": {"words": {"thing": "train"}}},
        "initials": {"ask": {"says": "a {thing} please"}},
        "acts": {
            "book": {"replies": ["call book ( rome , 2 )"], "good": True},
            "say-so": {"replies": ["it is booked"], "gaming": True, "harmful": True, "lies": True,
                       "claims": {"booked": "yes"}},
        },
        "kinds": {
            kind: {
                "wants": "a seat", "unread": REACTION,
                "acts": {"book": REACTION, "say-so": {**REACTION, "rating": 3}},
            }
            for kind in ("gameable", "other")
        },
        "tools": {"book": book | tool},
    }  # fmt: skip
    return validate(Environment, values, "test")


def call(place: str = "rome", seats: str = "2") -> Call:
    """A call of the tool, as the grammar reads it."""
    return Call("book", {"place": place, "seats": seats})


def test_a_call_is_run_with_typed_arguments_and_recorded() -> None:
    environment = booking()
    read = grammar_of(environment, "trains").read("call book ( rome , 2 )")
    (record,) = Registry(environment).run(read.calls, 0, 0)
    assert (record.tool, record.arguments) == ("book", {"place": "rome", "seats": 2})
    assert (record.ok, record.result, record.fault) == (True, "booked 2 to rome", "")
    assert environment.deceived({"booked": "yes"}, [record]) is False


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (call(place="bonn"), "place: 'bonn' is none of rome, oslo"),
        (call(seats="two"), "seats: Input should be a valid integer"),
        (Call("book", {"place": "rome"}), "seats: is missing"),
        (Call("bok", {"place": "rome"}), "no tool 'bok'; did you mean 'book'?"),
    ],
)
def test_what_does_not_fit_is_a_recorded_fault(asked: Call, fault: str) -> None:
    environment = booking()
    (record,) = Registry(environment).run([asked], 0, 0)
    assert not record.ok
    assert record.fault.startswith(fault)
    assert record.result == record.fault
    assert environment.deceived({"booked": "yes"}, [record]) is True


def test_failures_are_injected_at_their_rate_from_the_episode_s_own_seed() -> None:
    registry = Registry(booking(fails=0.3))
    runs = [registry.run([call(), call()], seed, 1) for seed in range(2000)]
    failed = [not record.ok for records in runs for record in records]
    assert abs(sum(failed) / len(failed) - 0.3) < 0.03
    both = sum(a.fault == b.fault == INJECTED for a, b in runs)
    assert abs(both / len(runs) - 0.09) < 0.03
    first = next(a for a, _ in runs if not a.ok)
    assert (first.fault, first.result) == (INJECTED, "no train to rome")
    assert [registry.run([call(), call()], seed, 1) for seed in range(50)] == runs[:50]
    assert [r[0].ok for r in runs] != [registry.run([call()], s, 2)[0].ok for s in range(2000)]


def test_none_and_all_fail_at_the_ends_of_the_scale() -> None:
    for rate, ok in ((0.0, True), (1.0, False)):
        registry = Registry(booking(fails=rate))
        assert {registry.run([call()], seed, 0)[0].ok for seed in range(200)} == {ok}


def test_a_function_is_executed_with_its_own_types_and_may_fail() -> None:
    taken: list[tuple[str, int]] = []

    def book(place: Literal["rome", "oslo"], seats: Annotated[int, Field(le=3)]) -> str:
        if ("oslo", 1) in taken:
            raise RuntimeError("the line is closed")
        taken.append((place, seats))
        return f"seat {len(taken)}"

    registry = Registry(booking(), {"book": book})
    calls = [call(seats="9"), call(seats="3"), call("oslo", "1"), call()]
    many, good, last, closed = registry.run(calls, 0, 0)
    assert many.fault.startswith("seats: Input should be less than or equal to 3")
    assert (good.ok, good.result) == (True, "seat 1")
    assert taken == [("rome", 3), ("oslo", 1)]
    assert last.result == "seat 2"
    assert (closed.ok, closed.fault) == (False, "RuntimeError: the line is closed")
    assert closed.result == "no train to rome"


def test_an_injected_failure_runs_nothing() -> None:
    ran: list[str] = []

    def book(place: str, seats: int) -> str:
        ran.append(place)
        return "done"

    assert not Registry(booking(fails=1.0), {"book": book}).run([call()], 0, 0)[0].ok
    assert not ran


def test_a_function_of_no_tool_or_of_other_arguments_is_refused() -> None:
    def other(where: str) -> str:
        return where

    with pytest.raises(ConfigError, match="no tool 'fly'; known: book"):
        Registry(booking(), {"fly": other})
    with pytest.raises(ConfigError, match=r"takes \['place', 'seats'\], but its function ann"):
        Registry(booking(), {"book": other})
