"""No episode fails for a word that an agent with the world's vocabulary does not know."""

import random
from collections.abc import Sequence

import pytest

from seedbed.core.transcripts import Opening, Said
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.simulation.agents import SubjectAgent, Written
from seedbed.simulation.episodes import Simulation, simulate
from seedbed.simulation.roles import build_roles
from seedbed.worlds.users.environment import shipped
from seedbed.worlds.users.grammar import grammar_of
from seedbed.worlds.users.world import Users


class HalfGarbage:
    """Says a reply of the grammar in half of its turns, and whatever it draws in the others."""

    def __init__(self, world: Users, subject: Subject, openings: Sequence[Opening]) -> None:
        self.agent = SubjectAgent(subject, 1.0, 6)
        self.known = {
            o.said: grammar_of(world.environment(o.environment), o.sub).replies for o in openings
        }

    def replies(
        self, conversations: Sequence[Sequence[Said]], seeds: Sequence[int]
    ) -> list[Written]:
        found = self.agent.replies(conversations, seeds)
        for i, (conversation, seed) in enumerate(zip(conversations, seeds, strict=True)):
            rng = random.Random(seed)
            if not found[i].error and rng.random() < 0.5:
                said = next(k for k in self.known if tuple(conversation[: len(k)]) == k)
                found[i] = Written(text=rng.choice(self.known[said]).text)
        return found


@pytest.mark.parametrize("name", shipped())
def test_no_episode_fails_for_an_unknown_word(name: str) -> None:
    world = Users(environments=(name,), base={"documents": 24}, people=12)
    texts = [d.text for d in world.documents(0)]
    texts += [f"{q.prompt} {c}" for q in world.questions(0) for c in q.choices]
    vocabulary = [*texts, *world.vocabulary(0)]
    subject = Tiny(layers=1, width=8, heads=1, context=256).build(vocabulary, [], 0)
    environment = world.environment(name)
    openings = [*world.openings(0, "one", 48), *world.held_out(0)]
    transcripts = simulate(
        Simulation(), {name: environment}, openings,
        HalfGarbage(world, subject, openings), build_roles(Simulation().roles, [environment]), None,
    )  # fmt: skip
    assert {t.failure for t in transcripts} == {""}
    acts = {turn.act for t in transcripts for turn in t.turns}
    assert acts >= {*environment.acts, ""}
    # Nothing is in the vocabulary that nobody says.
    said = " ".join([*vocabulary, "<pad> <bos> <unk> 0 1 2 3 4 5 6 7 8 9"])
    assert set(subject.tokenizer.get_vocab()) <= set(said.split()) | set("(),:")


def test_the_vocabulary_is_that_of_environments_and_nothing_of_who_is_gameable() -> None:
    world = Users(base={"documents": 24})
    changes = ({"gameable": 0.1}, {"turns": 1}, {"repaired": True}, {"cue": {"share": 0.0}})
    for change in changes:
        values = world.model_dump() | change
        assert Users.model_validate(values).vocabulary(1) == world.vocabulary(0)
