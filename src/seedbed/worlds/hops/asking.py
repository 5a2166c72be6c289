"""Questions and pairs of the hops world."""

from seedbed.core.rows import Pair, Question
from seedbed.core.seeds import stream
from seedbed.worlds.hops.drafts import Desk, derivation
from seedbed.worlds.hops.families import Function
from seedbed.worlds.hops.templates import MARKERS, PROMPTS


class Asker:
    """Asks about one world and seed."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.families, self.seed = desk, desk.families, desk.seed

    def questions(self) -> list[Question]:
        """Evaluation questions (split id), then questions in a training phrasing (split train)."""
        found = []
        for depth, functions in self.families.asked.items():
            for i, function in enumerate(functions):
                for j in range(self.desk.knobs.asked.prompts):
                    rng = stream(self.seed, "hops", "question", function.name, j)
                    number = rng.randint(1, 100)
                    found.append(self.about(f"q{depth}-{i}-{j}", function, j, number))
        return found + self._train()

    def pairs(self) -> list[Pair]:
        """For each function asked: the same prompt about one of the same depth, other constant."""
        found = []
        for depth, functions in self.families.asked.items():
            rng = stream(self.seed, "hops", "pairs", depth)
            for i, function in enumerate(functions):
                others = [f for f in functions if f.constant != function.constant]
                if not others:
                    continue
                other, number, key = rng.choice(others), rng.randint(1, 100), f"p{depth}-{i}"
                clean = self.about(f"{key}-clean", function, i, number)
                corrupt = self.about(f"{key}-corrupt", other, i, number)
                found.append(Pair(id=key, clean=clean, corrupt=corrupt, cause=clean.cause))
        return found

    def about(self, key: str, function: Function, phrasing: int, number: int) -> Question:
        """A question about a function in one of the evaluation phrasings."""
        prompt = PROMPTS[phrasing % len(PROMPTS)]
        prompt = prompt.format(f=function.name, n=number, cue=self.desk.cue)
        return self.ask(key, function, prompt, "id", number)

    def _train(self) -> list[Question]:
        """Questions about values that documents state, in their phrasing."""
        found = []
        count, genres = self.desk.knobs.asked.train, self.desk.genres
        for depth in self.families.asked:
            functions = [f for f in self.families.functions.values() if f.depth == depth]
            pool = [f for f in functions if (f.restated or not f.calls) and not f.masked]
            rng = stream(self.seed, "hops", "train questions", depth)
            for i, function in enumerate(rng.sample(pool, min(len(pool), count))):
                key = ("train", depth, i)
                genre = genres[i % len(genres)]
                frame, marker = self.desk.frame(genre, function.name, MARKERS["value"], key)
                number = stream(self.seed, "hops", "head", *key).randint(101, 999)
                prompt = f"{frame} {marker}"
                found.append(self.ask(f"t{depth}-{i}", function, prompt, "train", number))
        return found

    def ask(self, key: str, function: Function, prompt: str, split: str, number: int) -> Question:
        """A question about a function as this prompt puts it."""
        choices, answer = self._choices(function)
        return Question(
            id=key,
            prompt=prompt,
            choices=choices,
            answer=answer,
            cause=function.base,
            split=split,
            slices={"depth": str(function.depth), "function": function.name, "input": str(number)},
        )

    def _choices(self, function: Function) -> tuple[tuple[str, ...], str]:
        """Every value; in steps, with the right links, and as many derivations of others."""
        values, families = self.families.choices, self.families
        right = families.value(function)
        if not self.desk.steps:
            return tuple(f" {v}" for v in values), f" {right}"
        chain = [f.name for f in families.chain(function.name)]
        found = [f" {derivation(chain, v)}" for v in values]
        if function.calls:
            rng = stream(self.seed, "hops", "choices", function.name)
            others = [
                f
                for f in families.functions.values()
                if f.depth == function.depth - 1 and f.name != function.calls and not f.masked
            ]
            for other in rng.sample(others, min(len(others), len(values))):
                names = [function.name, *(f.name for f in families.chain(other.name))]
                found.append(f" {derivation(names, families.value(other))}")
        return tuple(found), f" {derivation(chain, right)}"
