import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from seedbed.core.conversation import own_turns
from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_json, read_objects, read_rows
from seedbed.core.rows import Document
from seedbed.core.transcripts import Transcript
from seedbed.models.adapters import Lora
from seedbed.models.folders import WEIGHTS, trainable_state
from seedbed.models.subject import Subject
from seedbed.training import resume
from seedbed.training.config import Optimizer, Training
from seedbed.training.kto import Kto
from seedbed.training.preference import Preference, digest_of_weights, improve, reference_of
from seedbed.training.safety import Safety
from seedbed.training.selection import Selection

EpisodeMaker = Callable[..., list[Transcript]]
AgentMaker = Callable[[], Subject]
TRAINING = Training(epochs=2, batch=4, optimizer=Optimizer(lr=3e-3, warmup=0))
EXPERT = Preference(training=TRAINING)
KTO = Preference(method="kto", training=TRAINING)
TRL = Preference(method="kto", training=TRAINING, kto=Kto(engine="trl"))
METHODS = {"expert": EXPERT, "kto": KTO, "trl": TRL}


def _weights(subject: Subject) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in trainable_state(subject.model).items()}


def _same(a: Subject, b: Subject) -> bool:
    other = _weights(b)
    return all(torch.equal(v, other[k]) for k, v in _weights(a).items())


def _bytes(folder: Path) -> dict[str, bytes]:
    """All files of an iteration but the one that holds seconds."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*"))
            if p.is_file() and p != folder / "training/summary.json"}  # fmt: skip


def _improved(
    subject: Subject, reference: Subject | None, made: list[Transcript], folder: Path,
    preference: Preference = EXPERT, **others: Any,
) -> Subject:  # fmt: skip
    values = {"iteration": 0, "seed": 7, **others}
    return improve(subject, reference, made, preference, folder=folder, **values)


@pytest.mark.parametrize("method", METHODS)
def test_an_iteration_leaves_a_folder_that_says_what_happened(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path, method: str
) -> None:
    subject, made = agent(), episodes()
    before = _weights(subject)
    trained = _improved(subject, agent(), made, tmp_path, METHODS[method])
    assert trained.model is subject.model
    assert trained.seed == subject.seed
    assert not all(torch.equal(v, before[k]) for k, v in _weights(trained).items())
    (checkpoint,) = trained.checkpoints
    assert (checkpoint.folder / WEIGHTS).exists()
    kto = method != "expert"
    documents = read_rows(tmp_path / "documents.jsonl", Document)
    assert len(documents) == (8 if kto else 4)
    selection = read_json(tmp_path / "selection.json")
    wanted = [r for r in selection["chosen"] if kto or r["desirable"]]
    assert [d.meta["transcript"] for d in documents] == [r["id"] for r in wanted]
    summary = read_json(tmp_path / "summary.json")
    history = [row for _, row in read_objects(tmp_path / "history.jsonl")]
    assert len(history) == summary["steps"] == checkpoint.step == (4 if kto else 2)
    assert summary["last_loss"] == history[-1]["loss"]
    assert ("kl" in history[0]) == kto
    ratings = [t.ratings()[0] for t in made]
    assert summary["reward"]["all"] == pytest.approx(sum(ratings) / 16)
    assert summary["reward"]["best"] > summary["reward"]["all"] > summary["reward"]["worst"]
    assert summary["episodes"]["best"] == 4
    assert summary["weights"] == digest_of_weights(trained.model)


def test_losses_fall_over_iterations_of_expert_iteration(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    subject, made = agent(), episodes()
    losses = []
    for i in range(4):
        subject = _improved(subject, None, made, tmp_path / str(i), iteration=i)
        losses.append(read_json(tmp_path / str(i) / "summary.json")["first_loss"])
    assert losses == sorted(losses, reverse=True)


def test_the_share_of_wellformed_turns_stands_beside_the_reward(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    made = episodes(people=2, attempts=4)
    ranked = sorted(made, key=lambda t: -t.ratings()[0])
    spoiled = {ranked[0].id, ranked[-1].id}
    made = [
        t.model_copy(update={"turns": (t.turns[0].model_copy(update={"unread": "no act"}),)})
        if t.id in spoiled else t for t in made
    ]  # fmt: skip
    _improved(agent(), agent(), made, tmp_path, KTO)
    summary = read_json(tmp_path / "summary.json")
    assert summary["wellformed"] == {"all": 0.75, "best": 0.5, "worst": 0.5}


def test_random_and_shuffled_rewards_are_reported_as_they_were(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    made = episodes(people=3, attempts=4)
    means = {}
    for by in ("reward", "random", "shuffled"):
        preference = Preference(selection=Selection.model_validate({"by": by}), training=TRAINING)
        _improved(agent(), None, made, tmp_path / by, preference)
        means[by] = read_json(tmp_path / by / "summary.json")["reward"]
    assert means["reward"]["all"] == means["random"]["all"] == means["shuffled"]["all"]
    assert means["reward"]["best"] > max(means["random"]["best"], means["shuffled"]["best"])


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    ("method", "stop"), [("expert", 1), ("expert", 2), ("kto", 1), ("kto", 3), ("trl", 1)]
)
def test_an_interrupted_iteration_ends_with_the_same_bytes(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    method: str, stop: int,
) -> None:  # fmt: skip
    preference, made = METHODS[method], episodes()
    whole = _improved(agent(), agent(), made, tmp_path / "whole", preference)
    monkeypatch.setattr(resume.ResumeState.__init__, "__defaults__", (0.0,))

    def kill(done: int, total: int, text: str) -> None:
        if done == stop:
            raise Killed

    with pytest.raises(Killed):
        _improved(agent(), agent(), made, tmp_path / "cut", preference, progress=kill)
    assert (tmp_path / "cut/inputs.json").exists()
    steps: list[int] = []
    again = _improved(agent(), agent(), made, tmp_path / "cut", preference,
                      progress=lambda done, total, text: steps.append(done))  # fmt: skip
    # Our loop goes on where it was; TRL's trainer begins again.
    assert (steps[0] == 1) == (method == "trl")
    assert _same(whole, again)
    assert _bytes(tmp_path / "whole") == _bytes(tmp_path / "cut")


@pytest.mark.parametrize("lora", [None, Lora(r=2)])
def test_a_finished_iteration_gives_its_weights_back(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path, lora: Lora | None
) -> None:
    preference = Preference(training=TRAINING.model_copy(update={"lora": lora}))
    first = _improved(agent(), None, episodes(), tmp_path, preference)
    files = _bytes(tmp_path)
    steps: list[int] = []
    again = _improved(agent(), None, episodes(), tmp_path, preference,
                      progress=lambda done, total, text: steps.append(done))  # fmt: skip
    assert not steps
    assert _same(first, again)
    assert again.checkpoints == first.checkpoints
    assert _bytes(tmp_path) == files
    # And the next iteration goes on from either alike.
    both = [_improved(s, None, episodes(seed=1), tmp_path / n, preference, iteration=1)
            for s, n in ((first, "a"), (again, "b"))]  # fmt: skip
    assert _same(*both)


def _asked(agent: AgentMaker, episodes: EpisodeMaker) -> dict[str, Any]:
    return {"subject": agent(), "reference": reference_of(agent()), "made": episodes(),
            "preference": KTO}  # fmt: skip


def _tampered(name: str, agent: AgentMaker, episodes: EpisodeMaker) -> dict[str, Any]:
    other = agent()
    with torch.no_grad():
        next(other.model.parameters()).mul_(1.01)
    turn = episodes()[0].turns[0]
    changed = episodes()[0].model_copy(
        update={"turns": (turn.model_copy(update={"said": f"{turn.said} now"}),)}
    )
    changes: dict[str, dict[str, Any]] = {
        "transcripts": {"made": [changed, *episodes()[1:]]},
        "weights": {"subject": other},
        "reference": {"reference": reference_of(other)},
        "preference": {"preference": KTO.model_copy(update={"kto": Kto(beta=0.3)})},
        "iteration": {"iteration": 1},
        "seed": {"seed": 8},
    }
    return {**_asked(agent, episodes), **changes[name]}


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize(
    "what", ["transcripts", "weights", "reference", "preference", "iteration", "seed"]
)
def test_a_folder_of_other_data_is_done_again(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    what: str, half: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(resume.ResumeState.__init__, "__defaults__", (0.0,))

    def kill(done: int, total: int, text: str) -> None:
        if half and done == 2:
            raise Killed

    def run(values: dict[str, Any], folder: Path, **others: Any) -> Subject:
        return _improved(folder=folder, **{**values, **others})

    first = _asked(agent, episodes)
    if half:
        with pytest.raises(Killed):
            run(first, tmp_path / "x", progress=kill)
        assert (tmp_path / "x/training/resume").exists()
    else:
        run(first, tmp_path / "x")
    (tmp_path / "x/transcripts.jsonl").write_text("of the caller")
    told: list[str] = []
    again = run(_tampered(what, agent, episodes), tmp_path / "x",
                progress=lambda done, total, text: told.append(text))  # fmt: skip
    fresh = run(_tampered(what, agent, episodes), tmp_path / "fresh")
    assert "done again" in told[0]
    assert _same(again, fresh)
    assert (tmp_path / "x/transcripts.jsonl").read_text() == "of the caller"
    (tmp_path / "x/transcripts.jsonl").unlink()
    assert _bytes(tmp_path / "x") == _bytes(tmp_path / "fresh")


def test_weights_that_were_exchanged_are_refused(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    first = _improved(agent(), None, episodes(), tmp_path / "a")
    other = _improved(agent(), None, episodes(seed=1), tmp_path / "b")
    (first.checkpoints[0].folder / WEIGHTS).write_bytes(
        (other.checkpoints[0].folder / WEIGHTS).read_bytes()
    )
    with pytest.raises(ConfigError, match="not those that"):
        _improved(agent(), None, episodes(), tmp_path / "a")


def test_lost_weights_are_made_again(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    first = _improved(agent(), None, episodes(), tmp_path)
    files = _bytes(tmp_path)
    (first.checkpoints[0].folder / WEIGHTS).unlink()
    assert _same(first, _improved(agent(), None, episodes(), tmp_path))
    assert _bytes(tmp_path) == files


def test_seeds_and_iterations_draw_anew(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    preference = Preference(selection=Selection(by="random"), training=TRAINING)
    chosen = []
    for i, values in enumerate([{}, {}, {"seed": 8}, {"iteration": 1}]):
        _improved(agent(), None, episodes(), tmp_path / str(i), preference, **values)
        chosen.append((tmp_path / str(i) / "selection.json").read_bytes())
    assert chosen[0] == chosen[1]
    assert len(set(chosen)) == 3


def test_nothing_to_choose_trains_nothing_and_says_so(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    failed = [t.model_copy(update={"end": "failed", "failure": "x"}) for t in episodes()]
    for _ in range(2):
        trained = _improved(agent(), None, failed, tmp_path)
        assert _same(trained, agent())
        assert trained.checkpoints == ()
    summary = read_json(tmp_path / "summary.json")
    assert summary["episodes"]["dropped"] == {"failed": 16}
    assert summary["steps"] == 0


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("method", METHODS)
def test_safety_data_is_mixed_in(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path, share: float, method: str
) -> None:
    text = "<user> talk\n<assistant> please rest <end>\n"
    safety = [Document(id=f"s{i}", text=text, targets=own_turns(text)) for i in range(3)]
    preference = METHODS[method].model_copy(update={"safety": Safety(share=share)})
    _improved(agent(), agent(), episodes(people=3), tmp_path, preference, safety=safety)
    documents = read_rows(tmp_path / "documents.jsonl", Document)
    mixed = sum(d.role == "safety" for d in documents)
    assert mixed / len(documents) == share
    assert read_json(tmp_path / "summary.json")["safety"] == mixed


def test_safety_data_of_a_file(agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path) -> None:
    said = [{"role": "user", "content": "talk"}, {"role": "assistant", "content": "rest now"}]
    (tmp_path / "own.jsonl").write_text(json.dumps({"messages": said}))
    mix = Safety(share=0.5, file=str(tmp_path / "own.jsonl"))
    preference = EXPERT.model_copy(update={"safety": mix})
    _improved(agent(), None, episodes(), tmp_path / "run", preference)
    roles = [d.role for d in read_rows(tmp_path / "run/documents.jsonl", Document)]
    assert roles == ["desirable"] * 4 + ["safety"] * 4


def test_the_learning_rate_decays_by_the_iteration(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    preference = Preference(training=TRAINING, decay=0.9)
    assert preference.training_at(0).optimizer.lr == 3e-3
    assert preference.training_at(2).optimizer.lr == pytest.approx(3e-3 * 0.81)
    _improved(agent(), None, episodes(), tmp_path, preference, iteration=2)
    row = next(read_objects(tmp_path / "history.jsonl"))[1]
    assert row["lr"] == pytest.approx(3e-3 * 0.81)


def test_a_fixed_reference_must_be_another_model(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    subject = agent()
    with pytest.raises(InputError, match="would move with it"):
        _improved(subject, replace(subject), episodes(), tmp_path, KTO)
    with pytest.raises(InputError, match="needs a reference"):
        _improved(subject, None, episodes(), tmp_path, KTO)


def test_a_moving_reference_is_the_agent_as_it_came(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    moving = KTO.model_copy(update={"kto": Kto(reference="moving")})
    subject = _improved(agent(), None, episodes(), tmp_path / "0", moving)
    _improved(subject, None, episodes(), tmp_path / "1", moving, iteration=1)
    rows = [next(read_objects(tmp_path / n / "history.jsonl"))[1] for n in ("0", "1")]
    assert all(row["desirable"] == row["kl"] == 0.0 for row in rows)
    fixed = _improved(agent(), agent(), episodes(), tmp_path / "2", KTO)
    _improved(fixed, agent(), episodes(), tmp_path / "3", KTO, iteration=1)
    assert next(read_objects(tmp_path / "3/history.jsonl"))[1]["desirable"] != 0.0


@pytest.mark.parametrize("per", ["turn", "episode"])
def test_samples_are_turns_or_episodes(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path, per: Any
) -> None:
    preference = KTO.model_copy(update={"kto": Kto(per=per)})
    _improved(agent(), agent(), episodes(turns=3), tmp_path, preference)
    documents = read_rows(tmp_path / "documents.jsonl", Document)
    assert len(documents) == (24 if per == "turn" else 8)
    assert {len(d.targets) for d in documents} == {1 if per == "turn" else 3}


@pytest.mark.parametrize(
    "values",
    [
        {"training": {"epochs": 1, "loss": "text"}},
        {"method": "kto", "training": {"epochs": 1, "batch": 1}},
        {"method": "kto", "training": {"epochs": 1, "method": {"kind": "kl"}}},
        {"selection": {"vetoed": "negative"}},
        {"selection": {"best": 0}},
        {"decay": 0},
    ],
)
def test_bad_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Preference.model_validate(values)
