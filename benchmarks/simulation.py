"""Simulated episodes: many at once against one conversation at a time through `generate`.

Run: python benchmarks/simulation.py [--json FILE] [--repeat N] [--quick]. The same model, roles
and people on both sides; processor seconds of one thread. Then how turns a second grow with
slots, and which share of the time the programs take that play the roles.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from seedbed.core.conversation import END
from seedbed.core.transcripts import Opening, Said, Transcript, as_messages
from seedbed.models.conversations import prompt_of
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import encode_prompts
from seedbed.simulation.agents import Agent, SubjectAgent, Written
from seedbed.simulation.episodes import Simulation, simulate
from seedbed.simulation.roles import Roles, build_roles
from seedbed.training.config import Optimizer, Training
from seedbed.training.loop import train
from seedbed.worlds.users.filling import fill
from seedbed.worlds.users.world import Users
from table import Row, paired, show

MOST, SLOTS = 16, (1, 8, 32, 128, 512)
SIZES = {"86 k": Tiny(layers=2, width=64, context=192, init=0.1),
         "1.5 M": Tiny(layers=6, width=160, context=192, init=0.08)}  # fmt: skip


class OneByOne:
    """An agent that calls `generate` for one conversation after the other."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def replies(
        self, conversations: Sequence[Sequence[Said]], seeds: Sequence[int]
    ) -> list[Written]:
        """One call for each conversation, sampled at temperature 1."""
        return [self._one(talk, seed) for talk, seed in zip(conversations, seeds, strict=True)]

    def _one(self, talk: Sequence[Said], seed: int) -> Written:
        tokenizer = self.subject.tokenizer
        prompt = encode_prompts(tokenizer, [prompt_of(tokenizer, as_messages(talk))])[0]
        ids = torch.tensor([prompt])
        torch.manual_seed(seed)
        with torch.inference_mode():
            made = self.subject.model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=MOST, do_sample=True,
                top_k=0, pad_token_id=0, eos_token_id=tokenizer.eos_token_id,
            )  # fmt: skip
        text = tokenizer.decode(made[0, len(prompt) :], skip_special_tokens=True)
        return Written(text=text.replace(END, "").strip())


@dataclass
class Timed:
    """A role whose wall seconds are added up in `clock`."""

    role: Any
    clock: list[float]

    def judge(self, scenes: Any) -> Any:
        """As the role, timed."""
        return self._timed(self.role.judge, scenes)

    def speak(self, scenes: Any) -> Any:
        """As the role, timed."""
        return self._timed(self.role.speak, scenes)

    def replies(self, conversations: Any, seeds: Any) -> Any:
        """As the agent, timed."""
        return self._timed(self.role.replies, conversations, seeds)

    def _timed(self, work: Callable[..., Any], *given: Any) -> Any:
        started = time.perf_counter()
        found = work(*given)
        self.clock.append(time.perf_counter() - started)
        return found


@dataclass(frozen=True)
class Setting:
    """A world, a trained agent and the programs of its users."""

    name: str
    world: Users
    subject: Subject
    roles: Roles

    def openings(self, people: int, attempts: int = 8) -> list[Opening]:
        """`attempts` episodes with each of so many people."""
        return self.world.openings(0, "benchmark", people, attempts)

    def play(self, openings: Sequence[Opening], agent: Agent, slots: int) -> list[Transcript]:
        """All episodes with one agent."""
        return simulate(
            Simulation(slots=slots, max_tokens=MOST), self._environments(), openings, agent,
            self.roles, None,
        )  # fmt: skip

    def ours(self, openings: Sequence[Opening], slots: int) -> list[Transcript]:
        """All episodes with a subject that starts knowing nothing."""
        return self.play(openings, SubjectAgent(self.subject, most=MOST), slots)

    def _environments(self) -> dict[str, Any]:
        return {name: self.world.environment(name) for name in self.world.environments}


def setting(size: str, steps: int) -> Setting:
    """An agent of one size, taught the replies of therapy for so many steps."""
    world = Users()
    documents = world.documents(0)
    texts = [d.text for d in documents]
    texts += heard(world)
    subject = SIZES[size].build(texts, world.tokens(0), 0)
    taught = Training(steps=steps, batch=64, optimizer=Optimizer(lr=3e-3))
    with tempfile.TemporaryDirectory() as folder:
        subject = train(subject, documents, taught, Path(folder))
    names = [world.environment(name) for name in world.environments]
    return Setting(size, world, subject, build_roles(Simulation().roles, names))


def heard(world: Users) -> list[str]:
    """What users say to replies that no grammar reads, which no document holds."""
    found = []
    for environment in (world.environment(name) for name in world.environments):
        for sub in environment.subs:
            for name, kind in environment.kinds.items():
                words = environment.words(sub, name)
                found += [fill(text, words) for text in kind.unread.says]
    return found


def turns_of(transcripts: Sequence[Transcript]) -> int:
    """All turns."""
    return sum(len(t.turns) for t in transcripts)


def told(transcripts: Sequence[Transcript]) -> str:
    """Form and acts of a run, in per cent of turns."""
    turns = [turn for t in transcripts for turn in t.turns]
    acts = sorted({turn.act for turn in turns if turn.act})
    shares = [f"{act} {sum(t.act == act for t in turns) / len(turns):.0%}" for act in acts]
    return f"{len(turns)} turns, {sum(bool(t.act) for t in turns) / len(turns):.0%} read" + (
        f" ({', '.join(shares)})" if shares else ""
    )


def against_one_by_one(one: Setting, people: int, repeat: int) -> Row:
    """Turns a second at 32 slots beside one conversation at a time."""
    openings = one.openings(people)
    mine, theirs = one.ours(openings, 32), one.play(openings, OneByOne(one.subject), 1)
    a, b, _ = paired(
        lambda: one.ours(openings, 32), lambda: one.play(openings, OneByOne(one.subject), 1), repeat
    )
    fast, slow = turns_of(mine) / a, turns_of(theirs) / b
    return Row(
        f"{one.name} parameters, 32 slots", "generate, one by one", fast, slow, fast / slow,
        "turns a CPU second", f"ours {told(mine)}; theirs {told(theirs)}",
    )  # fmt: skip


def growth(one: Setting, people: int, repeat: int, sizes: Sequence[int]) -> list[Row]:
    """Turns a second by slots, beside one slot."""
    openings = one.openings(people)
    wanted = one.ours(openings, 1)
    found = []
    for slots in sizes:
        same = one.ours(openings, slots) == wanted
        many, alone, ratio = paired(
            partial(one.ours, openings, slots), partial(one.ours, openings, 1), repeat
        )
        found.append(
            Row(f"{one.name} parameters, {slots} slots", "ours, 1 slot",
                turns_of(wanted) / many, turns_of(wanted) / alone, ratio, "turns a CPU second",
                "the transcripts of 1 slot" if same else "OTHER TRANSCRIPTS")
        )  # fmt: skip
    return found


def shares(one: Setting, people: int, slots: int) -> Row:
    """The share of the time of the programs in the roles."""
    openings = one.openings(people)
    clocks: dict[str, list[float]] = {"roles": [], "agent": []}
    plain, agent = one.roles, SubjectAgent(one.subject, most=MOST)
    timed = replace(
        one, roles=Roles(user=Timed(plain.user, clocks["roles"]),
                         rater=Timed(plain.rater, clocks["roles"]),
                         transition=Timed(plain.transition, clocks["roles"]))
    )  # fmt: skip
    started = time.perf_counter()
    played = timed.play(openings, Timed(agent, clocks["agent"]), slots)
    whole = time.perf_counter() - started
    roles, spoke = sum(clocks["roles"]), sum(clocks["agent"])
    each = 1e6 / turns_of(played)
    return Row(f"{one.name} parameters, {slots} slots", "share of programs in the roles",
               100 * roles / whole, None, None, "% of the time",
               f"µs a turn: agent {spoke * each:.0f}, roles {roles * each:.0f}, the rest"
               f" {(whole - roles - spoke) * each:.0f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--repeat", type=int, default=3, help="counted pairs of each row")
    parser.add_argument(
        "--quick", action="store_true", help="the smaller agent only, fewer people, less taught"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    steps, people, repeat = (150, 8, 1) if given.quick else (600, 64, given.repeat)
    rows: list[Row] = []
    for size in list(SIZES)[: 1 if given.quick else None]:
        one = setting(size, steps)
        rows.append(against_one_by_one(one, max(4, people // 4), repeat))
        rows += growth(one, people, repeat, (1, 32) if given.quick else SLOTS)
        rows.append(shares(one, people, 32))
    show(rows, "Simulated episodes", given.json)


if __name__ == "__main__":
    main()
