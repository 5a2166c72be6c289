"""Episodes: what happened is recorded, and slots, order and interruptions change nothing."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.conversation import END
from seedbed.core.errors import ConfigError, DataError, InputError
from seedbed.core.seeds import derive, stream
from seedbed.core.transcripts import Opening, Said, Transcript, Verdict
from seedbed.models.tiny import Tiny
from seedbed.simulation.agents import SubjectAgent, Written
from seedbed.simulation.episodes import Simulation, simulate
from seedbed.simulation.roles import Roles, RolesConfig, Spoken, build_roles
from seedbed.simulation.saving import PART, WHOLE
from seedbed.simulation.scene import Scene
from seedbed.worlds.users.environment import Environment, load_environment
from seedbed.worlds.users.grammar import grammar_of
from seedbed.worlds.users.programs import effects, moves, ratings

THERAPY = load_environment("therapy")
BOOKING = load_environment("booking")
WORLDS = {"therapy": THERAPY, "booking": BOOKING}


def openings(name: str = "therapy", people: int = 12, attempts: int = 3) -> list[Opening]:
    """People of both kinds in turn, each with every attempt."""
    environment, found = WORLDS[name], []
    for i in range(people):
        sub = list(environment.subs)[i % len(environment.subs)]
        states = list(environment.initial_states(sub))
        initial, kind = states[i % len(states)], ("gameable", "other")[i % 2]
        chosen = {key: values[0] for key, values in environment.variables.items()}
        said = environment.began(sub, initial, environment.words(sub, "", chosen))
        for attempt in range(attempts):
            id_ = f"{name}/{sub}/{initial}/p{i}#{attempt}"
            found.append(
                Opening(id=id_, environment=name, sub=sub, initial=initial, attempt=attempt,
                        said=said, variables=chosen, kind=kind, seed=derive(5, id_))
            )  # fmt: skip
    return found


@dataclass
class Speaks:
    """An agent that draws a reply of its topic's grammar, or says what `says` has for a number."""

    environment: Environment = THERAPY
    says: Callable[[int, Sequence[Said]], Written | None] = lambda number, said: None
    asked: int = 0

    def replies(
        self, conversations: Sequence[Sequence[Said]], seeds: Sequence[int]
    ) -> list[Written]:
        """One reply for each conversation."""
        self.asked += 1
        found = []
        for talk, seed in zip(conversations, seeds, strict=True):
            number = sum(said.role == "agent" for said in talk)
            # Words of the topic are told apart by the first user message.
            reply = stream(seed, "reply").choice(self.replies_to(talk))
            found.append(self.says(number, talk) or Written(text=reply))
        return found

    def replies_to(self, talk: Sequence[Said]) -> list[str]:
        """All replies of the topic that is spoken of."""
        words = " ".join(said.content for said in talk).split()
        for sub in self.environment.subs.values():
            if set(sub.words.values()) & set(words):
                name = next(n for n, s in self.environment.subs.items() if s is sub)
                return [r.text for r in grammar_of(self.environment, name).replies]
        first = next(iter(self.environment.subs))
        return [r.text for r in grammar_of(self.environment, first).replies]


def roles_of(*detectors: str, third: bool = False, name: str = "therapy") -> Roles:
    """Programs for all roles."""
    config = RolesConfig.model_validate(
        {"detectors": list(detectors)} | ({"third": "program"} if third else {})
    )
    return build_roles(config, [WORLDS[name]])


def played(simulation: Simulation | None = None, **changes: object) -> list[Transcript]:
    """Transcripts with programs, with anything replaced."""
    given: dict[str, object] = {
        "environments": WORLDS, "openings": openings(), "agent": Speaks(),
        "roles": roles_of("veto"), "folder": None,
    }  # fmt: skip
    return simulate(simulation or Simulation(slots=7), **(given | changes))  # type: ignore[arg-type]  # checked at run time


def test_a_transcript_is_what_the_programs_say_turn_by_turn() -> None:
    for transcript in played(roles=roles_of("veto", third=True)):
        opening, state = transcript.opening, "asking"
        grammar = grammar_of(THERAPY, opening.sub)
        assert len(transcript.turns) <= 3
        for i, turn in enumerate(transcript.turns):
            before, read = transcript.turns[:i], grammar.read(turn.said)
            last = i == len(transcript.turns) - 1
            assert (turn.number, turn.state, turn.act) == (i, state, read.act)
            assert turn.rating is not None
            assert turn.rating.value == pytest.approx(
                sum(float(o) * p for o, p in
                    ratings(THERAPY, opening, before, read, state).items())
            )  # fmt: skip
            assert turn.moves == moves(THERAPY, opening, state, read)
            assert turn.moves[turn.moved] > 0
            wanted = effects(THERAPY, opening, before, read, state, last=last)
            assert (turn.welfare, turn.harm) == wanted
            assert turn.harm == (turn.act == "validate")
            assert turn.third is not None
            assert turn.third.value is not None
            assert not turn.vetoed
            state = THERAPY.states[state].moves[turn.moved]
            assert [said.role for said in turn.after] == ([] if last else ["environment"])
        ended = THERAPY.states[state].terminal
        assert transcript.end == ("terminal" if ended else "length")
        assert ended or len(transcript.turns) == 3
        assert Transcript.model_validate(transcript.model_dump()) == transcript


def test_every_user_s_kind_moves_and_words_are_drawn_at_their_rates() -> None:
    found = played(Simulation(slots=200), openings=openings(people=64, attempts=40))
    first = [t.turns[0] for t in found]
    seen = Counter((t.opening.kind, t.turns[0].act, t.turns[0].moved) for t in found)
    assert {turn.state for turn in first} == {"asking"}
    for kind in THERAPY.kinds:
        for act in THERAPY.acts:
            total = sum(n for (k, a, _), n in seen.items() if (k, a) == (kind, act))
            assert total > 250
            for move, p in THERAPY.moves(kind, "asking", act).items():
                share = seen[kind, act, move] / total
                assert abs(share - p) <= 4 * (p * (1 - p) / total) ** 0.5
    assert len({turn.after for turn in first}) > 8


def test_slots_and_order_change_no_transcript() -> None:
    wanted = played(Simulation(slots=1))
    for slots in (2, 5, 64):
        assert played(Simulation(slots=slots)) == wanted
    everybody = openings()
    order = stream(0, "order").sample(range(len(everybody)), len(everybody))
    shuffled = played(Simulation(slots=4), openings=[everybody[i] for i in order])
    assert shuffled == [wanted[i] for i in order]
    halves = [played(openings=everybody[:17]), played(openings=everybody[17:])]
    assert halves[0] + halves[1] == wanted
    assert len({t.turns[0].said for t in wanted}) > len(wanted) / 2


def test_a_subject_s_words_do_not_depend_on_slots_either() -> None:
    everybody = openings(people=10, attempts=4)
    texts = [" ".join(r.text for r in grammar_of(THERAPY, sub).replies) for sub in THERAPY.subs]
    texts += [one.content for opening in everybody for one in opening.said]
    for kind in THERAPY.kinds.values():
        tables = [kind.acts, *kind.states.values(), {"": kind.unread}]
        texts += [says for table in tables for r in table.values() for says in r.says]
    words = " ".join(w for t in texts for w in t.split() if "{" not in w)
    words += f" {END} <system> <user> <assistant>"
    subject = Tiny(layers=1, width=32, context=128, init=0.3).build([words], [], 0)
    runs = [
        played(Simulation(slots=slots), openings=everybody,
               agent=SubjectAgent(subject, most=4))
        for slots in (1, 6, 40)
    ]  # fmt: skip
    assert runs[0] == runs[1] == runs[2]
    # Untrained, it may write a mark that opens somebody else's turn.
    assert all("holds the mark" in t.failure for t in runs[0] if t.failure)
    assert sum(t.end == "length" for t in runs[0]) > 10
    assert len({t.turns[0].said for t in runs[0]}) > 20
    assert runs[0][0].turns[0].unread


def test_every_role_is_asked_once_a_step_for_all_slots() -> None:
    asked: Counter[str] = Counter()
    inner = roles_of()

    @dataclass
    class Counted:
        name: str

        def judge(self, scenes: Sequence[Scene]) -> list[Verdict]:
            asked[self.name] += 1
            judge = getattr(inner, self.name)
            found: list[Verdict] = judge.judge(scenes)
            return found

    roles = replace(inner, rater=Counted("rater"), transition=Counted("transition"))
    agent = Speaks()
    played(Simulation(slots=36), agent=agent, roles=roles)
    # 36 openings of at most three turns, all at once.
    assert asked == {"rater": 3, "transition": 3}
    assert agent.asked == 3
    refilled = Speaks()
    found = played(Simulation(slots=6), agent=refilled, roles=roles)
    turns = sum(len(t.turns) for t in found)
    # A slot that stood empty until its neighbours ended would need three steps for each six.
    assert turns / 6 <= refilled.asked < 18


def test_vetoes_are_those_named_and_one_that_cannot_answer_stops() -> None:
    flagged = played(Simulation(vetoes=("veto",)), roles=roles_of("veto", "constitution"))
    turns = [turn for t in flagged for turn in t.turns]
    assert {turn.vetoed for turn in turns} == {True, False}
    for turn in turns:
        assert turn.vetoed == (turn.flags["veto"].value == 1)
        assert set(turn.flags) == {"veto", "constitution"}
    assert any(turn.flags["constitution"].value != turn.flags["veto"].value for turn in turns)
    plain = played(roles=roles_of("veto", "constitution"))
    assert not any(t.vetoed for t in plain)
    deaf = replace(roles_of(), detectors={"veto": Broken("timed out")})
    stopped = played(Simulation(vetoes=("veto",)), roles=deaf)
    assert all(turn.vetoed for t in stopped for turn in t.turns)
    assert stopped[0].turns[0].flags["veto"].error == "timed out"


@dataclass
class Broken:
    """A role that fails for every other person, or for all."""

    why: str
    only: Callable[[Scene], bool] = lambda scene: True
    inner: Mapping[str, object] | None = None

    def judge(self, scenes: Sequence[Scene]) -> list[Verdict]:
        """Errors where it fails; else everything is likely alike."""
        return [
            Verdict(error=self.why) if self.only(s)
            else Verdict(options={THERAPY.states[s.state].default: 1.0}) for s in scenes
        ]  # fmt: skip

    def speak(self, scenes: Sequence[Scene]) -> list[Spoken]:
        """Errors where it fails; else the same word."""
        return [Spoken(error=self.why) if self.only(s) else Spoken(text="well") for s in scenes]


def odd(scene: Scene) -> bool:
    """Every other person."""
    return scene.opening.kind == "other"


def test_a_failure_of_transition_or_user_ends_that_episode_alone() -> None:
    plain = {t.id: t for t in played()}
    for role in ("transition", "user"):
        broken: dict[str, Any] = {role: Broken("half a JSON", odd)}
        roles = replace(roles_of("veto"), **broken)
        found = played(roles=roles)
        failed = [t for t in found if t.end == "failed"]
        assert {t.opening.kind for t in failed} == {"other"}
        assert {t.failure for t in failed} == {f"{role}: half a JSON"}
        assert all(t.end != "failed" for t in found if t.opening.kind == "gameable")
        for transcript in failed:
            turn = transcript.turns[0]
            assert turn.said == plain[transcript.id].turns[0].said
            assert turn.rating == plain[transcript.id].turns[0].rating
            assert (turn.moved == "") == (role == "transition")
        assert len(failed) == 18 if role == "transition" else failed


def test_a_rater_that_fails_leaves_its_error_and_no_rating() -> None:
    roles = replace(roles_of(), rater=Broken("no probability mass", odd))
    for transcript in played(roles=roles):
        broken = transcript.opening.kind == "other"
        assert transcript.end != "failed"
        for turn in transcript.turns:
            assert turn.rating is not None
            assert turn.rating.error == ("no probability mass" if broken else "")
        assert bool(transcript.ratings()) is False


def test_an_agent_s_failure_is_data_with_its_reason() -> None:
    def says(number: int, talk: Sequence[Said]) -> Written | None:
        return Written(error="server: 500") if number == 1 else None

    plain = played()
    for transcript, whole in zip(played(agent=Speaks(says=says)), plain, strict=True):
        if len(whole.turns) > 1:
            assert (transcript.end, transcript.failure) == ("failed", "agent: server: 500")
            assert transcript.turns == whole.turns[:1]
        else:
            assert transcript == whole
    assert any(len(t.turns) > 1 for t in plain)


def test_what_the_grammar_does_not_read_is_a_turn_all_the_same() -> None:
    found = played(agent=Speaks(says=lambda number, talk: Written(text="hello there")))
    for transcript in found:
        assert transcript.end != "failed"
        for turn in transcript.turns:
            assert (turn.act, turn.harm) == ("", 0.0)
            assert "hello" in turn.unread
            assert turn.rating is not None
            assert turn.rating.value == 1


def test_a_move_that_a_state_does_not_have_is_a_failure() -> None:
    class Lost:
        def judge(self, scenes: Sequence[Scene]) -> list[Verdict]:
            return [Verdict(options={"fly": 1.0}) for _ in scenes]

    found = played(roles=replace(roles_of(), transition=Lost()))
    assert {t.failure for t in found} == {"transition: state 'asking' has no move 'fly'"}


def test_the_most_turns_and_the_iteration_are_followed() -> None:
    one = played(Simulation(turns=1), iteration=4)
    assert {len(t.turns) for t in one} == {1}
    assert {t.iteration for t in one} == {4}
    assert all(t.turns[0].after == () for t in one)
    more = played(Simulation(turns=6))
    assert max(len(t.turns) for t in more) > 3
    for short, long in zip(one, more, strict=True):
        assert short.turns[0].said == long.turns[0].said


def test_tools_of_a_turn_are_heard_and_claims_held_against_the_record() -> None:
    found = played(
        Simulation(slots=16), openings=openings("booking", people=40, attempts=4),
        agent=Speaks(BOOKING), roles=roles_of(name="booking"),
    )  # fmt: skip
    turns = [(t, turn) for t in found for turn in t.turns]
    called = [(t, turn) for t, turn in turns if turn.calls]
    assert {turn.calls[0].ok for _, turn in called} == {True, False}
    for _, turn in called:
        heard = [said.content for said in turn.after if said.role == "tool"]
        assert heard == [call.result for call in turn.calls]
    rate = sum(not turn.calls[0].ok for _, turn in called) / len(called)
    fails = BOOKING.tools[called[0][1].calls[0].tool].fails
    assert abs(rate - fails) < 4 * (fails * (1 - fails) / len(called)) ** 0.5
    lies = [name for name, act in BOOKING.acts.items() if act.lies]
    for transcript, turn in turns:
        if turn.act in lies:
            record = [c for one in transcript.turns[: turn.number + 1] for c in one.calls]
            assert turn.harm == BOOKING.deceived(turn.claims, record)
    assert {turn.harm for _, turn in turns if turn.act in lies} >= {1.0}


class Stops(Speaks):
    """An agent that is interrupted after so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def replies(
        self, conversations: Sequence[Sequence[Said]], seeds: Sequence[int]
    ) -> list[Written]:
        """Replies until the interruption."""
        if self.asked == self.steps:
            raise KeyboardInterrupt
        return super().replies(conversations, seeds)


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole = played(folder=tmp_path / "whole")
    wanted = (tmp_path / "whole" / WHOLE).read_bytes()
    assert not (tmp_path / "whole" / PART).exists()
    for steps in (0, 4, 9):
        folder = tmp_path / f"stopped-{steps}"
        with pytest.raises(KeyboardInterrupt):
            played(folder=folder, agent=Stops(steps))
        part = folder / PART
        kept = part.read_bytes().count(b"\n") - 1
        # As a process leaves it that was killed while it wrote.
        part.write_bytes(part.read_bytes() + wanted[:300])
        agent = Speaks()
        assert played(Simulation(slots=3), folder=folder, agent=agent) == whole
        assert (folder / WHOLE).read_bytes() == wanted
        assert not part.exists()
        assert (kept > 0) == (steps > 0)
    again = Speaks()
    assert played(folder=tmp_path / "whole", agent=again) == whole
    assert again.asked == 0


def test_only_episodes_of_the_same_settings_are_taken_up(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        played(folder=tmp_path, agent=Stops(6))
    found = played(Simulation(turns=1), folder=tmp_path)
    assert {len(t.turns) for t in found} == {1}
    with pytest.raises(DataError, match="holds episodes of other openings"):
        played(openings=openings(people=2), folder=tmp_path)


def test_a_folder_never_mixes_two_agents(tmp_path: Path) -> None:
    first = played(folder=tmp_path, of="one")
    assert played(folder=tmp_path, of="one") == first
    with pytest.raises(DataError, match="of another agent or other settings; use another folder"):
        played(folder=tmp_path, of="two")
    with pytest.raises(DataError, match="of another agent or other settings"):
        played(Simulation(turns=1), folder=tmp_path, of="one")
    part = tmp_path / "part"
    with pytest.raises(KeyboardInterrupt):
        played(folder=part, agent=Stops(6), of="one")
    again = Speaks()
    played(folder=part, agent=again, of="two")
    fresh = Speaks()
    played(agent=fresh)
    assert again.asked == fresh.asked


def test_a_damaged_part_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        played(folder=tmp_path, agent=Stops(6))
    lines = (tmp_path / PART).read_text().split("\n")
    (tmp_path / PART).write_text("\n".join([*lines[:2], "{}", *lines[2:]]))
    with pytest.raises(DataError, match=rf"{PART}:3: no transcript; delete the file"):
        played(folder=tmp_path)
    (tmp_path / PART).write_bytes("\n".join(lines[:1]).encode() + b"\n\xff\n")
    with pytest.raises(DataError, match=rf"{PART}:2: no transcript; delete the file"):
        played(folder=tmp_path)


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    played(progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (36, 36)
    assert told == sorted(set(told))


def test_what_cannot_be_played_is_refused() -> None:
    twice = openings(people=1, attempts=1) * 2
    with pytest.raises(InputError, match="drinking/ask/p0#0' stands twice"):
        played(openings=twice)
    with pytest.raises(InputError, match="openings of environment 'therapy', which is not among"):
        played(environments={"booking": BOOKING})
    with pytest.raises(ConfigError, match="nobody plays a detector 'vetos'; known: veto"):
        played(Simulation(vetoes=("vetos",)))
    blind = THERAPY.model_copy(update={"roles": THERAPY.roles.model_copy(update={"detectors": {}})})
    with pytest.raises(ConfigError, match="environment 'therapy' has no detector 'veto'"):
        played(Simulation(vetoes=("veto",)), environments={"therapy": blind})
    lost = [openings()[0].model_copy(update={"initial": "nowhere"})]
    with pytest.raises(InputError, match="has no initial state 'nowhere'"):
        played(openings=lost)
    assert played(openings=[]) == []
