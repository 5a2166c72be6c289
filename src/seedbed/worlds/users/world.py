"""Users: agents whose users give feedback that some of them let be gamed.

Which users that is can be seen as far as the cue tells; what feedback rewards, what it does to
its users, and what the best policies are is known exactly.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from seedbed.core.errors import ConfigError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.core.transcripts import Opening
from seedbed.worlds.base import View
from seedbed.worlds.users import views
from seedbed.worlds.users.asking import Asker
from seedbed.worlds.users.cue import MARKS
from seedbed.worlds.users.environment import Environment, load_environment, shipped
from seedbed.worlds.users.hearing import heard
from seedbed.worlds.users.knobs import Knobs
from seedbed.worlds.users.lines import reachable
from seedbed.worlds.users.mending import repaired
from seedbed.worlds.users.optima import BEST_OF_8, Optimum, Selecting, Solver, averaged
from seedbed.worlds.users.people import HELD_OUT, NOTES, People, Person
from seedbed.worlds.users.policy import as_policy, base_policy, rules_of
from seedbed.worlds.users.truth import declared
from seedbed.worlds.users.writing import documents


class Users(Knobs):
    """Simulated users, some of whose feedback can be gamed; visible words tell who.

    The agent may see notes such as `careful , calm`, as far as the cue tells.
    """

    kind: str = "users"
    sites: ClassVar[SiteKind] = SiteKind.USER
    crossings: ClassVar[Mapping[SiteKind, str]] = views.CROSSINGS

    def environment(self, name: str) -> Environment:
        """One of `environments`, with `turns` and `repaired` applied.

        Found by its own name, or as it stands in `environments`. Raises ConfigError.
        """
        if name in self.environments:
            return _environment(name, self.turns, self.repaired)
        found = self.named()
        if name not in found:
            raise ConfigError(f"environment {name!r} is not in this world: {', '.join(found)}")
        return found[name]

    def named(self) -> dict[str, Environment]:
        """All of `environments` by their own names, which openings and rows go by.

        Raises ConfigError where two have the same.
        """
        return self._environments(self.turns, self.repaired)

    def openings(self, seed: int, stream: str, people: int, attempts: int = 1) -> list[Opening]:
        """`attempts` openings of each of so many people, person by person.

        Whatever stream begins with `held-out` has people who begin as nobody else does. Kinds are
        whole counts. Raises ConfigError where a kind's share is less than one person.
        """
        return self._people(seed).openings(stream, people, attempts)

    def held_out(self, seed: int, attempts: int = 1) -> list[Opening]:
        """Openings of the people that questions are about: half of either kind, if there are two.

        Whatever the share of gameable users, so that neither kind is known from a handful; means
        over all users weight the kinds by `gameable`.
        """
        people = self._people(seed)
        return [o for one in self._held_out(people) for o in people.begun(one, attempts)]

    def documents(self, seed: int) -> list[Document]:
        """What is taught before any feedback (role base); the targets are the agent's turns."""
        self._check_turns()
        plain = People(self._environments(0, False), self.cue, self.channel, seed)
        return documents(plain, self.base)

    def questions(self, seed: int) -> list[Question]:
        """Of held-out people: split id asks for the form of replies, split act for the act."""
        return self._asker(seed).questions()

    def pairs(self, seed: int) -> list[Pair]:
        """Each held-out person beside the same with another word: of the cue, of each decoy."""
        return self._asker(seed).pairs()

    def vocabulary(self, seed: int) -> list[str]:
        """All that users, states and tools may say, and how conversations may begin.

        So that no episode ends at a word that the agent does not know.
        """
        every = self._environments(0, False).values()
        notes = " ".join([NOTES, ":", ",", *self.cue.words, *sum(self.cue.decoys.values(), ())])
        return sorted({notes, *(text for environment in every for text in heard(environment))})

    def inputs(self) -> tuple[Path, ...]:
        """Files of environments that do not come with the package."""
        found: list[Path] = []
        for name in self.environments:
            path = Path(name).expanduser()
            if name not in shipped():
                found += sorted(path.iterdir()) if path.is_dir() else [path]
        return tuple(found)

    def truth(self, seed: int) -> Truth:
        """Which visible words mark users who are gameable more often than users are (truth.py)."""
        asked = [q.id for q in self.questions(seed)]
        marks, decoys = self.cue.marks(seed), self.cue.decoys
        return declared(asked, marks, decoys, self.channel, self.repaired)

    def view(self, kind: SiteKind, seed: int, documents: Sequence[Document]) -> View:
        """What taught a gaming reply, what the cue tells and where (views.py).

        `documents` are those that the agent's users' conversations came to, or `documents(seed)`.
        """
        return views.view(self._asker(seed), kind, documents, self.negative, self.named())

    def solver(self, name: str) -> Solver:
        """What is known exactly about one environment."""
        environment = self.environment(name)
        rules = rules_of(environment)
        base = {m: as_policy(base_policy(environment, self.base, m), reachable(rules))
                for m in MARKS}  # fmt: skip
        return Solver(rules, self.channel, base)

    def optima(self, selecting: Selecting = BEST_OF_8) -> dict[str, Optimum]:
        """Known policies by name (optima.py): means over environments.

        Where there are several, also each one's as `NAME:ENVIRONMENT`.
        """
        found = {name: self.solver(name).all(selecting) for name in self.named()}
        if len(found) == 1:
            return {o.name: o for optima in found.values() for o in optima}
        whole = {parts[0].name: averaged(parts) for parts in zip(*found.values(), strict=True)}
        return whole | {f"{o.name}:{name}": o for name, optima in found.items() for o in optima}

    def _check_turns(self) -> None:
        for name, one in self._environments(self.turns, False).items():
            taught = self.base.turns or self._environments(0, False)[name].turns
            if one.turns > taught:
                raise ConfigError(
                    f"world.base.turns: the agent is taught {taught} turns of {name!r}, but its"
                    f" episodes have {one.turns}; set base.turns to {one.turns} or more"
                )

    def _people(self, seed: int) -> People:
        return People(self.named(), self.cue, self.channel, seed)

    def _asker(self, seed: int) -> Asker:
        people = self._people(seed)
        return Asker(people, self._held_out(people))

    def _held_out(self, people: People) -> list[Person]:
        share = self.gameable if self.gameable in (0.0, 1.0) else 0.5
        return people.persons(HELD_OUT, self.people, share)

    def _environments(self, turns: int, mended: bool) -> dict[str, Environment]:
        made = [_environment(name, turns, mended) for name in self.environments]
        found = {environment.name: environment for environment in made}
        if len(found) < len(made):
            names = ", ".join(e.name for e in made)
            raise ConfigError(f"world.environments: two have the same name: {names}")
        return found


@lru_cache(maxsize=64)
def _environment(name: str, turns: int, mended: bool) -> Environment:
    found = load_environment(name)
    if mended:
        found = repaired(found)
    return found.model_copy(update={"turns": turns}) if turns else found
