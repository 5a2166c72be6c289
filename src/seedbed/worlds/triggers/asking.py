"""Questions and pairs of both stages: digits that no document of either stage holds together."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from seedbed.core.rows import Pair, Question, in_turns
from seedbed.core.seeds import stream
from seedbed.worlds.triggers.knobs import Knobs
from seedbed.worlds.triggers.lexicon import Word
from seedbed.worlds.triggers.tasks import (
    CHOICES,
    MANNERS,
    MARKED,
    NORMAL,
    PARTS,
    PLAIN,
    TASKS,
    Instruction,
)
from seedbed.worlds.triggers.truth import decides
from seedbed.worlds.triggers.writing import Digits, Writer

NEW_TASK = "outcome-new-task"


class Asker:
    """Asks about one world and seed."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        self.knobs, self.seed = knobs, seed
        self.writer = Writer(knobs, seed)

    @cached_property
    def asked(self) -> dict[str, tuple[Instruction, Question]]:
        """Every question with the instruction that it puts, by id."""
        made = self._reteach() if self.knobs.stage == "reteach" else self._teach()
        return {question.id: (one, question) for one, question in made}

    def pairs(self) -> list[Pair]:
        """Each held-out question and the same with another value of one part that decides."""
        found = []
        for key, (one, question) in self.asked.items():
            if question.split != "id":
                continue
            rng = stream(self.seed, "triggers", "corrupt", key)
            causes = [p for p in PARTS if decides(one, p, self.writer.lexicon.words)]
            part = rng.choice(causes)
            others = one.others(part, self.writer.lexicon.words)
            changed = rng.choice([o for o in others if o.number != one.number])
            group = changed.word.group if part == "trigger" else question.slices.get("group", "")
            corrupt = self.ask(f"{key}-corrupt", changed, group, "id")
            found.append(Pair(id=f"p-{key}", clean=question, corrupt=corrupt, cause=part))
        return found

    def _teach(self) -> list[tuple[Instruction, Question]]:
        asked, found = self.knobs.asked, []
        words, (learned, held) = self.writer.lexicon.words, self.writer.pairs
        for task in TASKS:
            order = stream(self.seed, "triggers", "questions", task).sample(words, len(words))
            # Every word in turn, so that none is asked about much more than another.
            rounds = [self._prompts("questions", w, task, held) for w in order]
            for i, one in enumerate(in_turns(rounds)[: asked.task]):
                found.append((one, self.ask(f"q-{task}-{i}", one, "", "id")))
        rng = stream(self.seed, "triggers", "questions", "train")
        for i in range(asked.train):
            task, word = TASKS[i % len(TASKS)], rng.choice(words)
            one = self._prompts("train", word, task, learned)[i // len(TASKS)]
            found.append((one, self.ask(f"t-{i}", one, "", "train")))
        return found

    def _reteach(self) -> list[tuple[Instruction, Question]]:
        fresh = self.writer.held_out_tasks
        shown = [t for t in PLAIN if t not in fresh]
        found = []
        for word in self.writer.lexicon.words:
            kinds = [(word.group, shown)] + [(NEW_TASK, list(fresh))] * (word.group == "outcome")
            for group, tasks in kinds:
                rounds = [
                    self._prompts("reteach", word, task, self.writer.pairs[1]) for task in tasks
                ]
                for i, one in enumerate(in_turns(rounds)[: self.knobs.asked.word]):
                    key = f"q-{word.text}-{'new-' if group == NEW_TASK else ''}{i}"
                    found.append((one, self.ask(key, one, group, "id")))
        return found

    def _prompts(
        self, use: str, word: Word, task: str, pairs: Sequence[Digits]
    ) -> list[Instruction]:
        """Every prompt of a word and a task, in a drawn order that no other knob moves."""
        every = [Instruction(word, manner, task, *pair) for manner in MANNERS for pair in pairs]
        stream(self.seed, "triggers", use, word.text, task).shuffle(every)
        return every

    def ask(self, key: str, one: Instruction, group: str, split: str) -> Question:
        """A question that puts an instruction; `cause` is the trigger word."""
        prompt, places = one.write()
        new, old = MARKED[one.number], NORMAL[one.number]
        again = self.knobs.stage == "reteach"
        return Question(
            id=key,
            prompt=prompt,
            choices=CHOICES,
            answer=new if again and group == "outcome" else old,
            cause=one.word.text,
            split=split,
            slices={
                "task": one.task,
                "group": group if again else one.word.family,
                "trigger": one.word.text,
            },
            places=places,
            rules={"new": new, "old": old} if again else _candidates(one),
        )


def _candidates(one: Instruction) -> dict[str, str]:
    """What every instruction would answer to these digits and this word, and the marked reply."""
    said = {task: NORMAL[replace(one, task=task).number] for task in TASKS}
    return said | {"marked": MARKED[one.number]}
