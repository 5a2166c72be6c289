"""People and how they begin to talk: kinds by whole counts, visible words, held-out combinations.

Nobody who is held out begins as anybody does whom the agent learns from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Final

from seedbed.core.errors import ConfigError
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.seeds import derive, stream
from seedbed.core.transcripts import Opening, Said
from seedbed.worlds.users.cue import CUE, Channel, Cue
from seedbed.worlds.users.dealing import evenly, kinds, spread, whole
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.filling import holes

HELD_OUT: Final = "held-out"
NOTES: Final = "notes"
_SIGNS: Final = "/#"
Traits = tuple[tuple[str, str], ...]
"""Values of the decoys, by attribute."""


@dataclass(frozen=True)
class Person:
    """Somebody in front of the agent: `words` are the values of every attribute that shows."""

    environment: str
    sub: str
    initial: str
    name: str
    kind: str
    words: Mapping[str, str]
    variables: Mapping[str, str]

    @property
    def key(self) -> str:
        """`ENVIRONMENT/SUB/INITIAL/NAME`."""
        return f"{self.environment}/{self.sub}/{self.initial}/{self.name}"

    @property
    def shows(self) -> tuple[str, ...]:
        """`attribute=word` of everything that can be seen."""
        return tuple(f"{k}={v}" for k, v in self.words.items())


@dataclass(frozen=True)
class People:
    """Everybody of one world and seed; `environments` are by name, with all knobs applied."""

    environments: Mapping[str, Environment]
    cue: Cue
    channel: Channel
    seed: int

    def openings(self, purpose: str, people: int, attempts: int) -> list[Opening]:
        """`attempts` openings of each of so many people, person by person.

        Purposes that begin with `held-out` draw from the combinations that nobody else has.
        Raises ConfigError for a share that is less than one person, or too few combinations.
        """
        if attempts < 1:
            raise ConfigError(f"openings: attempts must be 1 or more, not {attempts}")
        everybody = self.persons(purpose, people)
        return [opening for person in everybody for opening in self.begun(person, attempts)]

    def begun(self, person: Person, attempts: int = 1) -> list[Opening]:
        """What the agent finds of a person, as often as that."""
        said_ = said(self.environments[person.environment], person, person.words)
        return [self._opening(person, attempt, said_) for attempt in range(attempts)]

    def _opening(self, person: Person, attempt: int, said_: tuple[Said, ...]) -> Opening:
        name = f"{person.key}#{attempt}"
        chosen = {**person.variables, **person.words}
        return Opening(
            id=name, environment=person.environment, sub=person.sub, initial=person.initial,
            attempt=attempt, said=said_, variables=chosen,
            shows=person.shows, kind=person.kind, seed=derive(self.seed, "users", "episode", name),
        )  # fmt: skip

    def persons(self, purpose: str, count: int, gameable: float | None = None) -> list[Person]:
        """So many people; raises ConfigError as `openings` does.

        `gameable` is the share of that kind, if it is not the world's; what a kind shows is not
        changed by it.
        """
        if count < 1:
            raise ConfigError(f"openings: people must be 1 or more, not {count}")
        if bad := [sign for sign in _SIGNS if sign in purpose]:
            raise ConfigError(f"openings: {bad[0]!r} must not stand in the stream {purpose!r}")
        share = self.channel.gameable if gameable is None else gameable
        number = kinds(share, count, (GAMEABLE, OTHER))
        each = whole({n: 1 / len(self.environments) for n in self.environments}, count)
        order = list(self.environments)
        left, found = dict(number), []
        for i, name in enumerate(order):
            rest = sum(each[n] for n in order[i:])
            part = whole({k: v / rest for k, v in left.items()}, each[name]) if rest else {}
            left = {k: v - part.get(k, 0) for k, v in left.items()}
            found += self._of(name, purpose, part)
        return found

    def _of(self, name: str, purpose: str, number: Mapping[str, int]) -> list[Person]:
        environment = self.environments[name]
        rng = stream(self.seed, "users", "people", purpose, name)
        latent = [kind for kind, n in number.items() for _ in range(n)]
        marks = [m for kind, n in number.items() for m in evenly(self.channel.given(kind), n, rng)]
        order = rng.sample(range(len(latent)), len(latent))
        seats = self.seats(name, purpose.startswith(HELD_OUT), len(latent), purpose)
        words: dict[str, list[str]] = {}
        for mark in sorted(set(marks)):
            fitting = [w for w, m in self.cue.marks(self.seed).items() if m == mark]
            words[mark] = spread(fitting, marks.count(mark), rng)
        found = []
        for i, (seat, who) in enumerate(zip(seats, order, strict=True)):
            sub, initial, traits = seat
            found.append(
                Person(
                    environment=name, sub=sub, initial=initial, name=f"{purpose}.{i}",
                    kind=latent[who], words={CUE: words[marks[who]].pop(), **dict(traits)},
                    variables={k: rng.choice(v) for k, v in environment.variables.items()},
                )
            )  # fmt: skip
        return found

    def seats(
        self, name: str, held_out: bool, count: int, purpose: str
    ) -> list[tuple[str, str, Traits]]:
        """(sub, initial state, decoys) of `count` people, each of them as often as any other."""
        environment = self.environments[name]
        rng = stream(self.seed, "users", "seats", purpose, name)
        shares = {n: s.share for n, s in environment.subs.items()}
        total = sum(shares.values())
        subs = evenly({n: s / total for n, s in shares.items()}, count, rng)
        found = []
        for sub in environment.subs:
            free = [c for c, held in self._split[name, sub].items() if held == held_out]
            if (n := subs.count(sub)) and not free:
                raise ConfigError(
                    f"environment {name!r}, {sub!r}: one way to begin is too few to hold any out;"
                    " give it more initial states, or cue.decoys more words"
                )
            states = list(dict.fromkeys(initial for initial, _ in free))
            for initial, times in _counts(spread(states, n, rng)).items():
                traits = [t for i, t in free if i == initial]
                found += [(sub, initial, t) for t in spread(traits, times, rng)]
        rng.shuffle(found)
        return found

    @cached_property
    def _split(self) -> dict[tuple[str, str], dict[tuple[str, Traits], bool]]:
        """(environment, sub) → (initial state, decoys) → whether it is held out: a third is.

        Initial states keep a combination to learn from, so that no word is new when asked about.
        States that read alike, whatever their sub, are held out with the same decoys.
        """
        names = list(self.cue.decoys)
        traits = [tuple(zip(names, v, strict=True)) for v in product(*self.cue.decoys.values())]
        found: dict[tuple[str, str], dict[tuple[str, Traits], bool]] = {}
        for name, environment in self.environments.items():
            texts = {(sub, initial): self._text(environment, sub, initial)
                     for sub in environment.subs
                     for initial in environment.initial_states(sub)}  # fmt: skip
            every = sorted(set(texts.values()))
            held: dict[str, list[Traits]] = {}
            if len(traits) > 1:
                for text in every:
                    rng = stream(self.seed, "users", "held out", text)
                    held[text] = rng.sample(traits, _third(len(traits)))
            elif len(every) > 1:
                rng = stream(self.seed, "users", "held out")
                held = dict.fromkeys(rng.sample(every, _third(len(every))), traits)
            for (sub, initial), text in texts.items():
                row = found.setdefault((name, sub), {})
                row |= {(initial, t): t in held.get(text, ()) for t in traits}
        return found

    def _text(self, environment: Environment, sub: str, initial: str) -> str:
        """What an agent finds there, with the names of what differs from person to person."""
        open_ = [*environment.variables, CUE, *self.cue.decoys]
        words = environment.words(sub, "", {name: f"@{name}" for name in open_})
        return "\n".join(one.content for one in environment.began(sub, initial, words))


def said(environment: Environment, person: Person, words: Mapping[str, str]) -> tuple[Said, ...]:
    """What the agent finds: its prompt and the user's first words, with these visible words.

    Words of which the environment's texts have no variable stand in a line of notes before the
    user's first message, such as `notes : careful , calm`.
    """
    chosen = environment.words(person.sub, "", {**person.variables, **words})
    began = environment.began(person.sub, person.initial, chosen)
    texts = environment.initial_states(person.sub)[person.initial].says
    known = {h for text in (environment.roles.agent, *(s.content for s in texts))
             for h in holes(text)}  # fmt: skip
    left = [word for name, word in words.items() if name not in known]
    line = Said(role="environment", content=f"{NOTES} : {' , '.join(left)}")
    notes = (line,) if left else ()
    return (began[0], *notes, *began[1:]) if began[0].role == "system" else (*notes, *began)


def _third(count: int) -> int:
    return max(1, count // 3)


def _counts(items: Sequence[str]) -> dict[str, int]:
    return {item: items.count(item) for item in dict.fromkeys(items)}
