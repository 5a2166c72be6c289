"""What the agent is taught before any feedback: conversations whose replies cover every act.

They depend on the environments and the base alone, never on who is gameable or on the cue's bits.
"""

import random
from collections.abc import Mapping, Sequence

from seedbed.core.conversation import markup, own_turns
from seedbed.core.rows import Document
from seedbed.core.seeds import derive, stream
from seedbed.core.transcripts import Opening, Said, as_messages
from seedbed.worlds.users.cue import CUE, Cue
from seedbed.worlds.users.dealing import evenly, spread, whole
from seedbed.worlds.users.environment import KINDS, Environment
from seedbed.worlds.users.filling import fill
from seedbed.worlds.users.grammar import Read, Reply, grammar_of
from seedbed.worlds.users.knobs import Base
from seedbed.worlds.users.people import People, Person
from seedbed.worlds.users.policy import base_policy
from seedbed.worlds.users.programs import moves, reply

ROLE = "base"


def documents(people: People, base: Base) -> list[Document]:
    """Conversations in plain markup; targets are the agent's own turns."""
    each = whole({n: 1 / len(people.environments) for n in people.environments}, base.documents)
    found = []
    for name, count in each.items():
        writer = _Writer(people, people.environments[name], base)
        found += writer.write(count)
    stream(people.seed, "users", "base", "order").shuffle(found)
    return found


class _Writer:
    def __init__(self, people: People, environment: Environment, base: Base) -> None:
        self.people, self.environment, self.base = people, environment, base
        self.cue: Cue = people.cue
        self.marks = people.cue.marks(people.seed)
        self.rng = stream(people.seed, "users", "base", environment.name)

    def write(self, count: int) -> list[Document]:
        """`count` conversations of 1 to the most turns, each length as often as any other."""
        most, rng, name = self.base.turns or self.environment.turns, self.rng, self.environment.name
        seats = self.people.seats(name, False, count, "base")
        words, lengths = spread(self.cue.words, count, rng), spread(range(1, most + 1), count, rng)
        # The kind that answers is unrelated to the word: the base must not tell who is who.
        latent = spread(KINDS, count, rng)
        acts = self._acts(words, lengths)
        found = []
        for i, (sub, initial, traits) in enumerate(seats):
            person = Person(
                environment=name, sub=sub, initial=initial, name=f"{ROLE}.{i}", kind=latent[i],
                words={CUE: words[i], **dict(traits)},
                variables={k: rng.choice(v) for k, v in self.environment.variables.items()},
            )  # fmt: skip
            found.append(self._document(i, person, acts[i]))
        return found

    def _acts(self, words: Sequence[str], lengths: Sequence[int]) -> list[list[str]]:
        """The acts of every conversation; each word's have the base's shares, exactly."""
        found: list[list[str]] = [[] for _ in words]
        for word in self.cue.words:
            here = [i for i, w in enumerate(words) if w == word]
            policy = base_policy(self.environment, self.base, self.marks[word])
            dealt = evenly(policy, sum(lengths[i] for i in here), self.rng)
            for i in here:
                found[i] = [dealt.pop() for _ in range(lengths[i])]
        return found

    def _document(self, number: int, person: Person, acts: Sequence[str]) -> Document:
        environment = self.environment
        opening = self.people.begun(person)[0]
        said, state = list(opening.said), start_of(environment, opening)
        grammar, taken = grammar_of(environment, person.sub), []
        for turn, act in enumerate(acts):
            chosen = self.rng.choice(grammar.of(act))
            said.append(Said(role="agent", content=chosen.text))
            taken.append(act)
            if turn + 1 == len(acts):
                break
            after = self._next(opening, state, chosen)
            if environment.states[after].terminal:
                break
            said += _heard(environment, chosen, self.rng)
            if after != state:
                said += environment.on_entry(after, _words(environment, opening))
            seed = derive(opening.seed, "base", turn)
            read = Read(chosen.act, chosen.calls, chosen.claims)
            said.append(
                Said(role="environment", content=reply(environment, opening, state, read, seed))
            )
            state = after
        text = markup(as_messages(said))
        meta = {"environment": environment.name, "sub": person.sub, "initial": person.initial,
                "acts": taken}  # fmt: skip
        return Document(id=f"b-{environment.name}-{number}", text=text, targets=own_turns(text),
                        role=ROLE, shows=person.shows, meta=meta)  # fmt: skip

    def _next(self, opening: Opening, state: str, chosen: Reply) -> str:
        read = Read(chosen.act, chosen.calls, chosen.claims)
        options = moves(self.environment, opening, state, read)
        move = self.rng.choices(list(options), weights=list(options.values()))[0]
        return self.environment.states[state].moves.get(move, state)


def start_of(environment: Environment, opening: Opening) -> str:
    """The state in which an episode begins."""
    return environment.initial_states(opening.sub)[opening.initial].state or environment.start


def _words(environment: Environment, opening: Opening) -> Mapping[str, str]:
    return environment.words(opening.sub, opening.kind, opening.variables)


def _heard(environment: Environment, chosen: Reply, rng: random.Random) -> list[Said]:
    """What tools answer to a reply's calls."""
    found = []
    for call in chosen.calls:
        tool = environment.tools[call.tool]
        text = tool.failure if rng.random() < tool.fails else tool.result
        found.append(Said(role="tool", content=fill(text, call.arguments)))
    return found
