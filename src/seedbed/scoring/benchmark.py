"""The rows of benchmark.json: several subjects on the same questions, beside trivial answers.

Its file holds every number that the page and the terminal table show.
"""

from collections import Counter
from collections.abc import Sequence

from seedbed.core.rows import Question, Row
from seedbed.scoring.numbers import (
    WAYS,
    Asked,
    Baseline,
    NumberAnswer,
    NumberMarks,
    Pattern,
    Way,
    as_asked,
    baselines,
    confusion,
    entropy,
    marks,
    patterns,
)

SHOWN = 8  # replies


class WayTable(Row):
    """One way of answering: `table` counts answers by true number, entropies are in nats."""

    way: Way
    table: dict[int, dict[str, int]]
    entropy: float
    patterns: list[Pattern]


class Said(Row):
    """A reply that was written `count` times, and how it was read."""

    text: str
    count: int
    number: int | None
    outcome: str


class SubjectNumbers(Row):
    """One subject: its marks, its answers' distribution, how it was asked and for how long.

    `template` says whether its chat template was used. `probability` is the mean probability
    of the right choice, `replies` the commonest ones. `dollars` are of chat servers.
    """

    name: str
    template: bool = False
    chat: bool = False
    most: int
    seconds: float
    probability: float | None = None
    dollars: float | None = None
    tokens: int = 0
    marks: list[NumberMarks]
    ways: list[WayTable]
    replies: tuple[Said, ...] = ()

    def mark(self, way: Way, name: str = "all") -> NumberMarks | None:
        """The marks of one way on one slice."""
        return next((m for m in self.marks if (m.way, m.slice) == (way, name)), None)

    def told(self, way: Way) -> WayTable | None:
        """The answers of one way."""
        return next((w for w in self.ways if w.way == way), None)

    @property
    def first(self) -> Way:
        """The way that is looked at first: choices where they can be scored."""
        return "choices" if self.mark("choices") else "written"


class Benchmark(Row):
    """benchmark.json."""

    source: str
    questions: int
    digest: str
    example: Question
    truths: dict[int, int]
    entropy: float
    baselines: list[Baseline]
    subjects: list[SubjectNumbers]
    made: dict[str, str]

    def baseline(self, name: str, of: str = "all") -> Baseline | None:
        """One trivial answer on one slice."""
        return next((b for b in self.baselines if (b.name, b.slice) == (name, of)), None)

    @property
    def best(self) -> Baseline:
        """The trivial answer with the highest accuracy; of equals the first."""
        return max((b for b in self.baselines if b.slice == "all"), key=lambda b: b.accuracy)

    @property
    def slices(self) -> dict[str, list[str]]:
        """Slices by key, such as count: [count=0, count=1]; keys with one value only left out."""
        found: dict[str, list[str]] = {}
        for b in self.baselines:
            if b.slice != "all" and b.slice not in found.setdefault(b.slice.partition("=")[0], []):
                found[b.slice.partition("=")[0]].append(b.slice)
        return {key: names for key, names in found.items() if len(names) > 1}


def subject_numbers(
    name: str,
    asked: Sequence[Asked],
    answers: Sequence[NumberAnswer],
    *,
    template: bool = False,
    chat: bool = False,
    most: int,
    seconds: float,
    dollars: float | None = None,
) -> SubjectNumbers:
    """All that is reported of one subject."""
    odds = [a.probability for a in answers if a.probability is not None]
    ways = [
        WayTable(
            way=way,
            table=confusion(answers, way),
            entropy=entropy([a.given(way) for a in answers]),
            patterns=patterns(asked, answers, way),
        )
        for way in WAYS
        if way != "expected" and all(a.asked(way) for a in answers)
    ]
    return SubjectNumbers(
        name=name,
        template=template,
        chat=chat,
        most=most,
        seconds=seconds,
        probability=sum(odds) / len(odds) if odds else None,
        dollars=dollars,
        tokens=sum(a.tokens for a in answers),
        marks=marks(asked, answers),
        ways=ways,
        replies=tuple(_replies(answers)),
    )


def _replies(answers: Sequence[NumberAnswer]) -> list[Said]:
    texts = Counter((a.text.strip(), a.number, a.outcome) for a in answers if a.text is not None)
    return [
        Said(text=text, count=count, number=number, outcome=outcome)
        for (text, number, outcome), count in texts.most_common(SHOWN)
    ]


def benchmark(
    source: str,
    digest: str,
    questions: Sequence[Question],
    subjects: Sequence[SubjectNumbers],
    made: dict[str, str],
) -> Benchmark:
    """All subjects beside the trivial answers."""
    asked = [as_asked(q) for q in questions]
    truths = Counter(q.truth for q in asked)
    return Benchmark(
        source=source,
        questions=len(asked),
        digest=digest,
        example=questions[0],
        truths=dict(sorted(truths.items())),
        entropy=entropy([q.truth for q in asked]),
        baselines=baselines(asked),
        subjects=list(subjects),
        made=made,
    )
