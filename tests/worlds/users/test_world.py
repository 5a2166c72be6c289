"""The users world: one base for all conditions, whole counts, no leaks, a truth that counts."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seedbed.core.conversation import parsed
from seedbed.core.errors import ConfigError
from seedbed.core.files import read_text
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.transcripts import as_messages
from seedbed.worlds.base import WORLDS
from seedbed.worlds.contract import check_world
from seedbed.worlds.users import environment as environments
from seedbed.worlds.users.cue import SILENT
from seedbed.worlds.users.grammar import grammar_of
from seedbed.worlds.users.world import Users

SMALL = {"base": {"documents": 200}, "people": 32}
CONDITIONS: tuple[dict[str, Any], ...] = (
    {},
    {"gameable": 0.1},
    {"cue": {"share": 0.5}},
    {"cue": {"kind": "flip", "bits": 0.5}},
    {"cue": {"share": 0.0}},
    {"turns": 1},
    {"repaired": True},
    {"gameable": 1.0},
)


def users(**knobs: Any) -> Users:
    made = WORLDS.build({"kind": "users"} | SMALL | knobs)
    assert isinstance(made, Users)
    return made


@pytest.mark.parametrize("knobs", CONDITIONS)
def test_every_condition_keeps_the_contract(knobs: dict[str, Any]) -> None:
    check_world(users(**knobs, base={"documents": 100}, people=16), 1)


def test_every_condition_shares_one_base() -> None:
    base = users().documents(4)
    for knobs in CONDITIONS[1:]:
        assert users(**knobs).documents(4) == base, knobs


@pytest.mark.parametrize("name", environments.shipped())
def test_every_shipped_environment(name: str) -> None:
    world = users(environments=(name,), base={"documents": 200})
    check_world(world, 0)
    grammars: Counter[str] = Counter()
    environment = world.environment(name)
    for document in world.documents(0):
        messages = parsed(document.text)
        own = [m.content for m in messages if m.role == "assistant"]
        grammar = grammar_of(environment, document.meta["sub"])
        assert [grammar.read(text).act for text in own] == document.meta["acts"]
        assert [document.text[a:b] for a, b in document.targets] == [f"{t} <end>" for t in own]
        grammars.update(document.meta["acts"])
    assert set(grammars) == set(environment.acts)


@pytest.mark.parametrize("cued", [True, False])
def test_acts_of_the_base_are_its_shares_for_every_word(cued: bool) -> None:
    world = users(base={"documents": 1500, "cued": cued})
    marks = world.cue.marks(2)
    taken: dict[str, Counter[str]] = {word: Counter() for word in world.cue.words}
    for document in world.documents(2):
        word = document.shows[0].removeprefix("cue=")
        taken[word].update(document.meta["acts"])
    for word, counts in taken.items():
        n = sum(counts.values())
        expected = {GAMEABLE: 0.18, OTHER: 0.72, SILENT: 0.45}[marks[word]] if cued else 0.45
        assert counts["validate"] / n == pytest.approx(0.1, abs=0.03)
        assert counts["help"] / n == pytest.approx(expected, abs=0.05)


def test_openings_are_whole_counts_in_balance() -> None:
    world = users(gameable=0.02, environments=("therapy", "politics"))
    openings = world.openings(0, "one", 640, 2)
    assert len(openings) == 1280
    people = [o for o in openings if o.attempt == 0]
    assert Counter(o.kind for o in people) == {GAMEABLE: 13, OTHER: 627}
    assert Counter(o.environment for o in people) == {"therapy": 320, "politics": 320}
    therapy = [o for o in people if o.environment == "therapy"]
    assert set(Counter(o.sub for o in therapy).values()) == {20}
    assert set(Counter((o.sub, o.initial) for o in therapy).values()) <= {1, 2}
    assert len({o.id for o in openings}) == 1280
    assert len({o.seed for o in openings}) == 1280
    assert [o.person for o in openings[::2]] == [o.person for o in openings[1::2]]
    assert openings[0].said == openings[1].said
    other = world.openings(0, "two", 640)
    assert not {o.person for o in other} & {o.person for o in people}


def test_a_share_of_less_than_a_person() -> None:
    with pytest.raises(ConfigError, match="less than one of the kind 'gameable'; take at least 50"):
        users(gameable=0.02).openings(0, "one", 40)
    assert {o.kind for o in users(gameable=0.0).openings(0, "one", 3)} == {OTHER}


@pytest.mark.parametrize("knobs", [{}, {"environments": ("therapy", "booking")}])
def test_nobody_held_out_begins_as_anybody_else(knobs: dict[str, Any]) -> None:
    world = users(**knobs, base={"documents": 1200})
    held = {as_messages(o.said) for o in world.openings(3, "held-out", 300)}
    trained = {as_messages(o.said) for o in world.openings(3, "iteration-1", 800)}
    documents = world.documents(3)
    base = {parsed(d.text)[:2] for d in documents}
    asked = {parsed(q.prompt) for q in world.questions(3)}
    asked |= {parsed(q.prompt) for p in world.pairs(3) for q in (p.clean, p.corrupt)}
    cues = {q.prompt for p in world.pairs(3) if p.cause == "cue" for q in (p.clean, p.corrupt)}
    assert not held & (trained | base)
    assert not {parsed(prompt) for prompt in cues} & (trained | base)
    assert not {parsed(q.prompt) for q in world.questions(3)} & (trained | base)
    known = {w for d in documents for w in d.text.split()}
    assert {w for messages in asked | trained for m in messages for w in m.content.split()} <= known


def counted(world: Users, seed: int) -> dict[str, tuple[int, int]]:
    """Site → (gameable people, people) over very many openings."""
    found: dict[str, tuple[int, int]] = {}
    for o in world.openings(seed, "count", 3000):
        for site in o.shows:
            yes, n = found.get(site, (0, 0))
            found[site] = yes + (o.kind == GAMEABLE), n + 1
    return found


@pytest.mark.parametrize(
    "knobs",
    [
        {"gameable": 0.3},
        {"gameable": 0.3, "cue": {"share": 0.4}},
        {"gameable": 0.3, "cue": {"kind": "flip", "share": 0.3}},
        {"gameable": 0.3, "cue": {"share": 0.0}},
        {"gameable": 0.3, "cue": {"kind": "flip", "share": 0.0}},
        {"gameable": 1.0},
    ],
)
def test_truth_is_what_counting_finds(knobs: dict[str, Any]) -> None:
    """A site is 1 where clearly more of its users are gameable, NaN where it has no users."""
    world = users(**knobs)
    truth, seen = world.truth(5), counted(world, 5)
    for site, value in zip(truth.sites, truth.values[0], strict=True):
        if site not in seen:
            assert np.isnan(value), site
            continue
        yes, n = seen[site]
        share = world.gameable
        above = yes / n - share > 4 * (share * (1 - share) / n) ** 0.5 + 1e-9
        assert value == float(above), site
    assert (np.nansum(truth.values) == 0) == bool(world.negative)


def test_ratings_repaired_leave_nobody_to_game() -> None:
    world = users(repaired=True)
    assert np.nansum(world.truth(0).values) == 0
    assert "ratings follow welfare" in world.negative
    environment = world.environment("therapy")
    for kind in environment.kinds.values():
        worth = {a: r.welfare for a, r in kind.acts.items()}
        rated = {a: r.rating for a, r in kind.acts.items()}
        assert sorted(worth, key=worth.__getitem__) == sorted(rated, key=rated.__getitem__)
    assert world.optima()["rating"].point.harm["all"] == 0


def test_environments_of_ones_own(tmp_path: Path) -> None:
    source = Path(environments.__file__).parent / "environments" / "politics.yaml"
    values = yaml.safe_load(read_text(source))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**values, "name": "mine"}), encoding="utf-8")
    world = users(environments=(str(path), "therapy"))
    check_world(world, 0)
    assert world.inputs() == (path,)
    assert world.environment("mine") is world.environment(str(path))
    assert {o.environment for o in world.openings(0, "one", 8)} == {"mine", "therapy"}
    assert {d.meta["environment"] for d in world.documents(0)} == {"mine", "therapy"}
    assert set(world.optima()) >= {"rating", "rating:mine", "rating:therapy"}
    (tmp_path / "copy.yaml").write_text(read_text(path), encoding="utf-8")
    with pytest.raises(ConfigError, match="two have the same name: mine, mine"):
        users(environments=(str(path), str(tmp_path / "copy.yaml"))).documents(0)


@pytest.mark.parametrize(
    ("knobs", "what"),
    [
        ({"cue": {"bits": 1.0}, "gameable": 0.1}, r"more than the 0\.469 that there are to know"),
        ({"environments": ("therapi",)}, "did you mean 'therapy'"),
        ({"environments": ("therapy", "therapy")}, "the same one stands twice"),
        ({"turns": 5}, r"set base\.turns to 5 or more"),
    ],
)
def test_knobs_that_do_not_do(knobs: dict[str, Any], what: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=what):
        users(**knobs).documents(0)


@pytest.mark.parametrize("name", ["booking", "action-advice"])
def test_first_turns_of_known_policies_are_those_of_episodes_of_one_turn(name: str) -> None:
    """Of the base, which does the same in every turn."""
    one, three = (
        users(environments=(name,), turns=turns, cue={"share": 0.5}).optima()["base"].point
        for turns in (1, 3)
    )
    for kind in ("gameable", "other", "all"):
        assert three.first[kind] == pytest.approx(one.harm[kind])
        assert three.first_rating[kind] == pytest.approx(one.rating[kind])
        assert three.first_welfare[kind] == pytest.approx(one.welfare[kind])
        assert three.welfare[kind] != pytest.approx(three.first_welfare[kind], abs=1e-3)


def test_optima_of_several_turns_and_starts() -> None:
    world = users(environments=("booking",), turns=2, cue={"share": 0.5})
    found = world.optima()
    assert found["oracle"].point.rating["all"] >= found["rating"].point.rating["all"]
    assert found["rating"].point.rating["all"] >= found["welfare"].point.rating["all"]
    assert found["welfare"].point.welfare["all"] >= found["rating"].point.welfare["all"]
    # Without a booking every claim is false; the base claims in one turn of twenty.
    assert found["base"].point.first["all"] == pytest.approx(0.05)
    assert 0 < found["base"].point.harm["all"] < 0.1


def test_held_out_people_are_of_both_kinds_alike_whatever_their_share() -> None:
    world = users(gameable=0.02, people=96)
    held = world.held_out(0)
    assert Counter(o.kind for o in held) == {GAMEABLE: 48, OTHER: 48}
    assert {f"q-act-{o.person}" for o in held} <= {q.id for q in world.questions(0)}
    assert {o.kind for o in users(gameable=1.0).held_out(0)} == {GAMEABLE}
    assert {o.kind for o in users(gameable=0.0).held_out(0)} == {OTHER}
    # What either kind shows is what it shows everywhere: half a bit of 0.141 is little.
    half = users(gameable=0.02, people=400, cue={"kind": "flip", "share": 0.5})
    marks, given = half.cue.marks(0), half.channel.given(GAMEABLE)
    shown = Counter(marks[o.variables["cue"]] for o in half.held_out(0) if o.kind == GAMEABLE)
    assert shown[GAMEABLE] / 200 == pytest.approx(given[GAMEABLE], abs=0.006)


@pytest.mark.parametrize("name", environments.shipped())
@pytest.mark.parametrize("turns", [1, 3])
def test_no_optimum_is_beyond_what_there_is(name: str, turns: int) -> None:
    """Rounding over thousands of rounds of selection must not add up."""
    world = users(environments=(name,), turns=turns, cue={"share": 0.5})
    options = world.environment(name).rating_options
    for optimum in world.optima().values():
        for point in (optimum.point, *optimum.path):
            for kind in ("gameable", "other", "all"):
                what = (optimum.name, kind)
                assert min(options) - 1e-9 <= point.rating[kind] <= max(options) + 1e-9, what
                assert -1e-9 <= point.harm[kind] <= 1 + 1e-9, what
                assert -1e-9 <= point.first[kind] <= 1 + 1e-9, what
