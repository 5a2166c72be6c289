import gc
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as run_eval
from inspect_ai.log import EvalLog
from inspect_ai.model import Model, ModelOutput, ModelUsage, get_model

from seedbed.core.conversation import markup
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.transcripts import Said, Transcript, as_messages
from seedbed.models.folders import load_subject, save_subject
from seedbed.models.tiny import Tiny
from seedbed.simulation.agents import SubjectAgent
from seedbed.simulation.episodes import Simulation, simulate
from seedbed.simulation.inspect_plugin import seedbed as provider
from seedbed.simulation.inspect_tasks import TRANSCRIPT, users
from seedbed.simulation.roles import RolesConfig, build_roles
from seedbed.worlds.users.environment import load_environment, shipped
from seedbed.worlds.users.filling import fill
from seedbed.worlds.users.grammar import grammar_of
from seedbed.worlds.users.world import Users

pytestmark = [
    # Inspect waits between tries by a keyword of tenacity that is going away.
    pytest.mark.filterwarnings("ignore:The 'initial' parameter:DeprecationWarning"),
    # Every evaluation leaves streams of its own open.
    pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning"),
]
Says = Callable[[list[Any]], str]


@pytest.fixture(autouse=True)
def _streams() -> Iterator[None]:
    yield
    gc.collect()


def played(log: EvalLog) -> dict[tuple[str, int], Transcript]:
    assert log.status == "success", log.error
    assert log.samples is not None
    return {(str(s.id), s.epoch): Transcript.model_validate(s.store[TRANSCRIPT])
            for s in log.samples}  # fmt: skip


def mock(says: Says) -> Model:
    def output(messages: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
        made = ModelOutput.from_content("mock", says(messages))
        # Without a usage Inspect fetches a tokenizer to count with.
        made.usage = ModelUsage()
        return made

    return get_model("mockllm/model", custom_outputs=output, memoize=False)


def evaluated(task: Any, says: Says, folder: Path) -> EvalLog:
    [log] = run_eval(task, model=mock(says), log_dir=folder.as_posix(), display="none")
    return log


def metrics(log: EvalLog) -> dict[str, dict[str, float]]:
    assert log.results is not None
    return {s.name: {name.removeprefix("seedbed/"): m.value for name, m in s.metrics.items()}
            for s in log.results.scores}  # fmt: skip


def replies(act: str) -> dict[str, str]:
    """Of each topic of the therapy chat one reply that is the act."""
    therapy = load_environment("therapy")
    return {sub: grammar_of(therapy, sub).of(act)[0].text for sub in therapy.subs}


def test_a_model_that_always_games_is_scored_from_the_environments_tables(tmp_path: Path) -> None:
    therapy = load_environment("therapy")
    known = {o.said: o.sub for o in
             Users(environments=("therapy",), turns=1).openings(5, "inspect", 6)}  # fmt: skip
    words = {" ".join(s.content for s in said if s.role != "system"): sub
             for said, sub in known.items()}  # fmt: skip

    def says(messages: list[Any]) -> str:
        return replies("validate")[words[messages[-1].text.replace("\n", " ")]]

    log = evaluated(users("therapy", people=6, turns=1, seed=5), says, tmp_path)
    found = metrics(log)
    assert found["harm"]["mean"] == found["gaming"]["mean"] == found["form"]["mean"] == 1
    for kind in (GAMEABLE, OTHER):
        table = therapy.kind(kind).reaction(therapy.start, "validate")
        assert found["rating"][f"mean_of_{kind}"] == pytest.approx(table.rating)
        assert found["welfare"][f"mean_of_{kind}"] == pytest.approx(table.welfare)
        assert found["rating"][f"stderr_of_{kind}"] == pytest.approx(0, abs=1e-9)
    assert log.results is not None
    assert log.results.total_samples == 6


def test_gibberish_is_unread_and_harms_nobody(tmp_path: Path) -> None:
    log = evaluated(users("therapy", people=4, turns=1), lambda _: "what is up", tmp_path)
    found = metrics(log)
    assert (found["form"]["mean"], found["harm"]["mean"], found["gaming"]["mean"]) == (0, 0, 0)
    assert log.samples is not None
    [score] = (log.samples[0].scores or {}).values()
    assert score.answer == "?"
    assert "no reply has 'what'" in str(score.explanation)


def test_a_model_that_says_nothing_makes_failed_episodes_and_no_ratings(tmp_path: Path) -> None:
    log = evaluated(users("therapy", people=4), lambda _: " ", tmp_path)
    found = metrics(log)
    assert found["failed"]["mean"] == 1
    assert all(t.failure == "agent: the model said nothing" for t in played(log).values())
    assert "rating" not in found or found["rating"]["mean"] != found["rating"]["mean"]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that can read and write the words of the therapy chat, not trained at all."""
    path = tmp_path_factory.mktemp("subject")
    therapy = load_environment("therapy")
    said = [s for o in Users(turns=3).openings(2, "inspect", 10) for s in o.said]
    for sub in therapy.subs:
        words = therapy.words(sub)
        for kind in therapy.kinds.values():
            for reaction in (*kind.acts.values(), kind.unread):
                said += [Said(role="environment", content=fill(w, words)) for w in reaction.says]
    texts = [markup(as_messages(said))]
    texts += [f"<assistant> {reply.text} <end>" for sub in therapy.subs
              for reply in grammar_of(therapy, sub).replies]  # fmt: skip
    save_subject(Tiny(layers=1, width=16, heads=2, init=0.3).build(texts, [], 0), path)
    return path


def test_through_inspect_an_agent_plays_the_episodes_that_it_plays_without(
    subject: Path, tmp_path: Path
) -> None:
    assert provider is not None
    model = get_model(f"seedbed/{subject}", memoize=False)
    [log] = run_eval(users("therapy", people=10, seed=2), model=model, temperature=0.0,
                     max_tokens=6, log_dir=tmp_path.as_posix(), display="none")  # fmt: skip
    world = Users(environments=("therapy",))
    therapy = world.environment("therapy")
    parts = {"third": "program", "detectors": list(therapy.roles.detectors)}
    roles = build_roles(RolesConfig.model_validate(parts), [therapy])
    agent = SubjectAgent(load_subject(subject), temperature=0.0, most=6)
    direct = simulate(Simulation(temperature=0.0), {"therapy": therapy},
                      world.openings(2, "inspect", 10), agent, roles, None)  # fmt: skip
    assert played(log) == {(t.opening.person, 1): t for t in direct}
    assert sum(len(t.turns) for t in direct) > 10


def test_epochs_are_further_attempts_with_draws_of_their_own(subject: Path, tmp_path: Path) -> None:
    model = get_model(f"seedbed/{subject}", memoize=False)
    [log] = run_eval(users("therapy", people=2), model=model, epochs=2, max_tokens=4,
                     log_dir=tmp_path.as_posix(), display="none")  # fmt: skip
    found = played(log)
    assert len(found) == 4
    for (person, epoch), one in found.items():
        assert one.opening.id == f"{person}#{epoch - 1}"
        assert one.opening.said == found[person, 1].opening.said
    assert len({one.opening.seed for one in found.values()}) == 4


def test_every_shipped_environment_has_a_task_by_the_entry_point(tmp_path: Path) -> None:
    [point] = [p for p in entry_points(group="inspect_ai") if p.name == "seedbed"]
    assert point.value == "seedbed.simulation.inspect_plugin"
    tasks = [f"seedbed/users_{name.replace('-', '_')}" for name in shipped()]
    logs = run_eval(tasks, model=mock(lambda _: "so"), task_args={"people": 2, "turns": 1},
                    log_dir=tmp_path.as_posix(), display="none")  # fmt: skip
    assert sorted(log.eval.task for log in logs) == sorted(tasks)
    assert all(len(played(log)) == 2 for log in logs)
