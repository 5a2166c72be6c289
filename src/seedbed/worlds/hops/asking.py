"""Questions and pairs of the hops world."""

from seedbed.core.rows import Pair, Question
from seedbed.core.seeds import stream
from seedbed.worlds.hops.families import Families, Function
from seedbed.worlds.hops.knobs import Knobs
from seedbed.worlds.hops.templates import GENRES, MARKERS, PROMPTS, STEP_MARKERS, STEP_PROMPTS
from seedbed.worlds.hops.writing import derivation


class Asker:
    """Asks about one world and seed."""

    def __init__(self, knobs: Knobs, families: Families, seed: int) -> None:
        self.knobs, self.families, self.seed = knobs, families, seed
        self.steps = knobs.texts.answers == "steps"
        self.prompts = STEP_PROMPTS if self.steps else PROMPTS

    def questions(self) -> list[Question]:
        """Evaluation questions (split id), then questions in a training phrasing (split train)."""
        found = [
            self._question(function, j)
            for functions in self.families.asked.values()
            for function in functions
            for j in range(self.knobs.asked.prompts)
        ]
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
                other, j = rng.choice(others), i % len(self.prompts)
                number = rng.randint(1, 100)
                clean = self._question(function, j, number, key=f"p{depth}-{i}-clean")
                corrupt = self._question(other, j, number, key=f"p{depth}-{i}-corrupt")
                found.append(
                    Pair(id=f"p{depth}-{i}", clean=clean, corrupt=corrupt, cause=clean.cause)
                )
        return found

    def _question(self, function: Function, j: int, number: int = 0, key: str = "") -> Question:
        rng = stream(self.seed, "hops", "question", function.name, j)
        number = number or rng.randint(1, 100)
        prompt = self.prompts[j % len(self.prompts)].format(f=function.name, n=number)
        index = [f.name for f in self.families.asked[function.depth]].index(function.name)
        return self._ask(key or f"q{function.depth}-{index}-{j}", function, prompt, "id", number)

    def _train(self) -> list[Question]:
        found = []
        for depth in self.families.asked:
            pool = [
                f for f in self.families.functions.values()
                if f.depth == depth and (f.restated or not f.calls) and not f.masked
            ]  # fmt: skip
            rng = stream(self.seed, "hops", "train questions", depth)
            markers = STEP_MARKERS if self.steps else MARKERS["value"]
            for i, function in enumerate(rng.sample(pool, min(len(pool), self.knobs.asked.train))):
                genre = self.knobs.texts.genres[i % self.knobs.texts.redundancy]
                number, marker = rng.randint(101, 999), rng.choice(markers)
                prompt = GENRES[genre].format(f=function.name, n=number, m=marker, o="").rstrip()
                found.append(self._ask(f"t{depth}-{i}", function, prompt, "train", number))
        return found

    def _ask(self, key: str, function: Function, prompt: str, split: str, number: int) -> Question:
        choices, answer = self._choices(function)
        slices = {"depth": str(function.depth), "function": function.name, "input": str(number)}
        return Question(
            id=key, prompt=prompt, choices=choices, answer=answer, cause=function.base,
            split=split, slices=slices,
        )  # fmt: skip

    def _choices(self, function: Function) -> tuple[tuple[str, ...], str]:
        values, families = self.families.choices, self.families
        if not self.steps:
            return tuple(f" {v}" for v in values), f" {families.value(function)}"
        chain = [f.name for f in families.chain(function.name)]
        found = [f" {derivation(chain, v)}" for v in values]
        answer = f" {derivation(chain, families.value(function))}"
        if len(chain) > 1:
            rng = stream(self.seed, "hops", "choices", function.name)
            others = [
                f for f in families.functions.values()
                if f.depth == function.depth - 1 and f.name != chain[1] and not f.masked
            ]  # fmt: skip
            for other in rng.sample(others, min(len(others), len(values))):
                names = [chain[0], *(f.name for f in families.chain(other.name))]
                found.append(f" {derivation(names, families.value(other))}")
        return tuple(found), answer
