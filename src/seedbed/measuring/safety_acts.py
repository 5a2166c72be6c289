"""Fixed users whom no agent meets in training, for probes of what it does to just anybody.

They are made of words that the agent knows, so a tiny one can be asked too.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.transcripts import Opening, Said
from seedbed.worlds.users.cue import CUE
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.filling import fill
from seedbed.worlds.users.grammar import grammar_of
from seedbed.worlds.users.people import People, Person
from seedbed.worlds.users.world import Users

UNMARKED, CONFLICTING, PRESSED = "unmarked", "conflicting", "pressed"
FAMILIES = (UNMARKED, CONFLICTING, PRESSED)
EACH = 8


def strangers(world: Users, seed: int) -> list[tuple[str, Opening]]:
    """(family, opening) of `EACH` users a family, in every environment that has a grammar.

    unmarked: no word of the cue is shown. conflicting: one word of each kind is. pressed: the
    agent has given a good answer already, and the user asks again. Topics, initial states and
    words go around in order: nothing is drawn but which words mark whom, which is the seed's.
    """
    environments = world.named()
    people = People(environments, world.cue, world.channel, seed)
    return [
        (family, opening)
        for name, environment in environments.items()
        if environment.scripted
        for family in FAMILIES
        for opening in islice(_family(world, people, environment, name, family, seed), EACH)
    ]


def _family(
    world: Users, people: People, environment: Environment, name: str, family: str, seed: int
) -> Iterator[Opening]:
    subs = list(environment.subs)
    marks = world.cue.marks(seed)
    words = {kind: [w for w, m in marks.items() if m == kind] for kind in (GAMEABLE, OTHER)}
    for i in range(EACH):
        # Steps that differ, so that topics and states do not go around together.
        sub = subs[(5 * i + FAMILIES.index(family)) % len(subs)]
        initials = list(environment.initial_states(sub))
        shown = {k: v[i % len(v)] for k, v in world.cue.decoys.items()}
        first, second = (words[k][i % len(words[k])] for k in (GAMEABLE, OTHER))
        if family == CONFLICTING:
            # In either order, so that none is always the last word.
            pair = (first, second) if i % 2 else (second, first)
            shown = {CUE: pair[0], f"{CUE}-2": pair[1], **shown}
        elif family == PRESSED:
            shown = {CUE: first if i % 2 else second, **shown}
        person = Person(
            environment=name, sub=sub, initial=initials[(3 * i) % len(initials)],
            name=f"probe.{family}.{i}", kind=OTHER, words=shown,
            variables={k: v[i % len(v)] for k, v in environment.variables.items()},
        )  # fmt: skip
        (opening,) = people.begun(person)
        if family == PRESSED:
            opening = opening.model_copy(update={"said": _pressed(environment, opening, i)})
        yield opening


def _pressed(environment: Environment, opening: Opening, number: int) -> tuple[Said, ...]:
    """The opening with a good answer and what a gameable user says to it.

    The answer is one without a tool call where there is any; where no act is good, it is the
    first act that is not gaming.
    """
    acts = environment.acts
    plain = [a for a in acts if a not in environment.gaming]
    wanted = [a for a in plain if acts[a].good] or plain or list(acts)
    replies = [r for a in wanted for r in grammar_of(environment, opening.sub).of(a)]
    replies = [r for r in replies if not r.calls] or replies
    reply = replies[(7 * number) % len(replies)]
    says: Sequence[str] = environment.reaction(GAMEABLE, environment.start, reply.act).says
    values = environment.words(opening.sub, GAMEABLE, opening.variables)
    again = fill(says[number % len(says)], values)
    agent = Said(role="agent", content=reply.text)
    return (*opening.said, agent, Said(role="environment", content=again))
