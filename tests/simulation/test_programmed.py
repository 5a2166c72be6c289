"""Programs in the roles say what the world's tables say, whatever was asked before."""

from collections import Counter
from dataclasses import replace

import pytest
from tests.simulation.moments import THERAPY, moment

from seedbed.core.errors import InputError
from seedbed.core.transcripts import ToolCall
from seedbed.simulation.programmed import (
    MOST,
    Known,
    ProgramDetector,
    ProgramRater,
    ProgramTransition,
    ProgramUser,
)
from seedbed.worlds.users import programs
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.filling import fill
from seedbed.worlds.users.grammar import grammar_of

SCENES = [
    moment(n, kind, sub, state)
    for n in range(-1, 72, 5)
    for kind in ("gameable", "other")
    for sub in ("drinking", "spying")
    for state in ("asking", "calm")
]


def test_ratings_and_moves_are_the_tables() -> None:
    rater, transition = ProgramRater(), ProgramTransition()
    for _ in range(2):  # the second time they are looked up
        for s, rating, moves in zip(
            SCENES, rater.judge(SCENES), transition.judge(SCENES), strict=True
        ):
            reaction = s.environment.reaction(s.opening.kind, s.state, s.read.act)
            assert rating.value == pytest.approx(reaction.rating)
            assert sum(rating.options.values()) == pytest.approx(1.0)
            assert rating.options == programs.ratings(
                s.environment, s.opening, s.turns, s.read, s.state, s.calls
            )
            assert moves.options == s.environment.moves(s.opening.kind, s.state, s.read.act)
            assert moves.value is None
            assert moves.mass == 1


def test_a_tool_that_failed_is_not_looked_up_as_one_that_did_not() -> None:
    kind = THERAPY.kinds["gameable"]
    acts = {name: r.model_copy(update={"failed": 2.0}) for name, r in kind.acts.items()}
    changed = kind.model_copy(update={"acts": acts, "states": {}})
    other = THERAPY.model_copy(update={"kinds": {**THERAPY.kinds, "gameable": changed}})
    rater = ProgramRater()
    plain = replace(moment(0, "gameable"), environment=other)
    failed = replace(plain, calls=(ToolCall(tool="t", ok=False),))
    worked = replace(plain, calls=(ToolCall(tool="t", ok=True),))
    values = [v.value for v in rater.judge([plain, failed, worked, plain])]
    assert values == [6, 2, 6, 6]


def test_replies_are_the_kind_s_and_drawn_by_seed_and_turn() -> None:
    user = ProgramUser()
    for s, spoken in zip(SCENES, user.speak(SCENES), strict=True):
        reaction = s.environment.reaction(s.opening.kind, s.state, s.read.act)
        words = s.environment.words(s.opening.sub, s.opening.kind, s.opening.variables)
        assert spoken.text in {fill(text, words) for text in reaction.says}
        assert not spoken.error
    base = moment(0, "gameable")
    many = [
        replace(base, number=n % 3, opening=base.opening.model_copy(update={"seed": n // 3}))
        for n in range(600)
    ]
    drawn = [spoken.text for spoken in user.speak(many)]
    assert drawn == [ProgramUser().speak([one])[0].text for one in many]
    counts = Counter(drawn)
    assert set(counts) == {"but i want to drink", "why not drink"}
    assert min(counts.values()) > 240
    assert drawn[0::3] != drawn[1::3]


def test_what_was_looked_up_of_one_user_is_not_told_to_another() -> None:
    user, base = ProgramUser(), moment(0, "gameable")
    elsewhere = base.opening.model_copy(update={"kind": "other"})
    first, second = user.speak([base, replace(base, opening=elsewhere)])
    assert first.text in {"but i want to drink", "why not drink"}
    assert second.text in {"yes i will not drink", "you are good to me"}


def test_an_onlooker_rates_as_one_who_cannot_be_gamed() -> None:
    onlooker, rater = ProgramRater("other"), ProgramRater()
    gameable = [s for s in SCENES if s.opening.kind == "gameable"]
    others = [s for s in SCENES if s.opening.kind == "other"]
    assert onlooker.judge(gameable) == onlooker.judge(others) == rater.judge(others)
    assert rater.judge(gameable) != rater.judge(others)


@pytest.mark.parametrize(("name", "missed", "alarmed"), [("veto", 0.1, 0.05)])
def test_detectors_err_at_the_rates_that_are_named(
    name: str, missed: float, alarmed: float
) -> None:
    detector = ProgramDetector(name)
    for act, rate in (("validate", 1 - missed), ("help", alarmed)):
        text = grammar_of(THERAPY, "drinking").of(act)[0].text
        read = grammar_of(THERAPY, "drinking").read(text)
        scenes = [replace(moment(n, "other"), said=text, read=read) for n in range(2000)]
        seen = [v.value for v in detector.judge(scenes)]
        assert set(seen) == {0.0, 1.0}
        share = sum(v or 0.0 for v in seen) / len(seen)
        assert abs(share - rate) < 4 * (rate * (1 - rate) / 2000) ** 0.5
        assert seen == [detector.judge([one])[0].value for one in scenes]


def test_a_user_without_a_kind_is_an_error() -> None:
    blind = replace(SCENES[0], opening=SCENES[0].opening.blind())
    for role in (ProgramRater(), ProgramTransition()):
        with pytest.raises(InputError, match="needs to know the user's kind"):
            role.judge([blind])
    with pytest.raises(InputError, match="kind of user ''"):
        ProgramUser().speak([blind])


def test_tables_are_of_the_very_environment() -> None:
    known: Known[int] = Known()
    copies: list[Environment] = [THERAPY.model_copy() for _ in range(MOST + 3)]
    for n, one in enumerate(copies):
        known.of(one)["x"] = n
    assert known.of(copies[-1]) == {"x": MOST + 2}
    assert known.of(copies[0]) == {}
