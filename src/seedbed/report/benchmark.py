"""A benchmark in words and in the terminal: was it learned, and what do the answers look like?

Each sentence is computed from benchmark.json.
"""

from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seedbed.report import wording
from seedbed.scoring.benchmark import Benchmark, SubjectNumbers, WayTable
from seedbed.scoring.numbers import Baseline, Mark, NumberMarks, Way

MARGIN = 0.1  # above the best trivial answer, for "learned"
MOSTLY = 0.4  # share of the commonest answer from which it is called the same answer
NAMES = {
    "chance": "any choice",
    "majority": "always the commonest answer",
    "median": "always the middle answer",
    "length": "the list's length",
    "copied": "the last number in the prompt",
}
WAY_NAMES: dict[Way, str] = {
    "choices": "likeliest choice",
    "written": "written answer",
    "expected": "expected count",
}
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Verdict:
    """What is said of one subject: `short` (learned, not learned …) and sentences."""

    name: str
    tone: Tone
    short: str
    sentences: tuple[str, ...]


def baseline_words(row: Baseline) -> str:
    """`always 3` or the name of the trivial answer."""
    if row.name == "majority" and row.answer is not None:
        return f"always {row.answer}"
    if row.name == "median" and row.answer is not None:
        return f"always {row.answer} (median)"
    return NAMES[row.name]


def standing(marks: NumberMarks, best: Baseline) -> tuple[Tone, str]:
    """Learned, above the trivial answers, level with them, or below the best of them."""
    low = marks.accuracy.low or 0.0
    if low >= min(best.accuracy + MARGIN, (1 + best.accuracy) / 2):
        return "good", "learned"
    if low > best.accuracy:
        return "plain", "above trivial answers, not learned"
    return "bad", "not learned"


def verdict(bench: Benchmark, subject: SubjectNumbers) -> Verdict:
    """The gate in plain words, by the likeliest choice, or by what was written without one."""
    way = subject.first
    marks, told = subject.mark(way), subject.told(way)
    assert marks is not None
    assert told is not None
    tone, short = standing(marks, bench.best)
    said = [_same(told, bench.questions), _accuracy(marks, bench.best)]
    said.append(_follows(marks))
    if way == "choices" and (written := subject.mark("written")):
        said.append(_written(subject, written))
    elif marks.answered < 1:
        said.append(_missing(subject, marks).replace("of", "Of", 1))
    return Verdict(subject.name, tone, short, tuple(s for s in said if s))


def _same(told: WayTable, n: int) -> str:
    answer, share = commonest(told, n)
    if answer is None:
        return "It never answers with a number."
    if share < MOSTLY:
        return ""
    return f"It answers {answer} to {wording.percent(share)} of the questions, whatever is asked."


def commonest(told: WayTable, n: int) -> tuple[str | None, float]:
    """The number answered most often (of equals the smallest) and its share of all questions."""
    counts: dict[str, int] = {}
    for row in told.table.values():
        for given, count in row.items():
            if given != "none":
                counts[given] = counts.get(given, 0) + count
    if not counts:
        return None, 0.0
    best = max(sorted(counts, key=float), key=lambda a: counts[a])
    return best, counts[best] / n


def _accuracy(marks: NumberMarks, best: Baseline) -> str:
    value = f"Accuracy {marked(marks.accuracy)}"
    trivial = f"{baseline_words(best)} ({wording.number(best.accuracy)})"
    low, high = marks.accuracy.low or 0.0, marks.accuracy.high or 0.0
    if low > best.accuracy:
        return f"{value} is above the best trivial answer, {trivial}."
    if high < best.accuracy:
        return f"{value} is below the best trivial answer, {trivial}."
    return f"{value} is no better than the best trivial answer, {trivial}."


def _follows(marks: NumberMarks) -> str:
    r = marks.pearson
    off = f"mean error {marked(marks.mae, 2)}, bias {marked(marks.bias, 2)}"
    if r.value is None or r.low is None or r.high is None:
        return f"Its answers hardly vary, so they follow nothing; {off}."
    if r.low > 0:
        return f"Its answers rise with the truth, r = {marked(r, 2)}; {off}."
    if r.high < 0:
        return f"Its answers fall as the truth rises, r = {marked(r, 2)}; {off}."
    return f"Its answers do not follow the truth, r = {marked(r, 2)}; {off}."


def _written(subject: SubjectNumbers, marks: NumberMarks) -> str:
    text = f"In its own words it is right on {marked(marks.accuracy)}"
    return f"{text}; {_missing(subject, marks)}" if marks.answered < 1 else f"{text}."


def _missing(subject: SubjectNumbers, marks: NumberMarks) -> str:
    told = subject.told("written")
    kinds = [p for p in (told.patterns if told else []) if p.name in MISSING and p.count]
    listed = wording.listed([f"{p.count} {MISSING[p.name]}" for p in kinds])
    missing = marks.n - round(marks.n * marks.answered)
    return f"of {marks.n:,} replies {missing:,} {_verb(missing)} no number: {listed}."


def _verb(count: int) -> str:
    return "gives" if count == 1 else "give"


MISSING = {
    "refusal": "refusing",
    "several": "with several numbers",
    "no number": "without any",
    "empty": "empty",
    "error": "failed requests",
}


def marked(mark: Mark, places: int = 3) -> str:
    """`0.145 [0.12, 0.17]`."""
    interval = wording.interval(mark.low, mark.high)
    return f"{wording.number(mark.value, places)} {interval}".strip()


def headline(bench: Benchmark) -> str:
    """The one sentence over the page."""
    verdicts = [verdict(bench, s) for s in bench.subjects]
    learned = [v.name for v in verdicts if v.tone == "good"]
    if len(verdicts) == 1:
        return f"{verdicts[0].name}: {verdicts[0].short}"
    if not learned:
        return f"None of {len(verdicts)} subjects has learned to answer"
    if len(learned) == len(verdicts):
        return f"All {len(verdicts)} subjects have learned to answer"
    return f"{len(learned)} of {len(verdicts)} subjects learned: {wording.listed(learned)}"


def ordered(bench: Benchmark) -> list[SubjectNumbers]:
    """Subjects by accuracy, the best first."""

    def accuracy(subject: SubjectNumbers) -> float:
        marks = subject.mark(subject.first)
        return -(marks.accuracy.value or 0.0) if marks else 0.0

    return sorted(bench.subjects, key=accuracy)


def rows_of(bench: Benchmark) -> list[tuple[SubjectNumbers, NumberMarks]]:
    """(subject, marks on all questions) for every subject and way, in the order of the table."""
    return [
        (subject, marks)
        for subject in ordered(bench)
        for way in WAY_NAMES
        if (marks := subject.mark(way))
    ]


def print_benchmark(bench: Benchmark, console: Console) -> None:
    """Verdicts, then one table of all subjects and the trivial answers."""
    styles = {"good": "green", "bad": "yellow", "plain": "cyan"}
    for subject in ordered(bench):
        said = verdict(bench, subject)
        console.print(Text(f"{said.name}: {said.short}", style=f"bold {styles[said.tone]}"))
        for sentence in said.sentences:
            console.print(Text(f"  {sentence}"))
    console.print()
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("subject", overflow="fold", min_width=12)
    for head in ("by", "accuracy", "error", "bias", "r"):
        table.add_column(head, no_wrap=True)
    table.add_column("none", no_wrap=True)
    last = None
    for subject, m in rows_of(bench):
        name = "" if subject.name == last else subject.name
        last = subject.name
        table.add_row(
            Text(name), m.way, _half(m.accuracy, 3),
            *(_half(mark, 2) for mark in (m.mae, m.bias, m.pearson)),
            wording.percent(1 - m.answered),
        )  # fmt: skip
    for row in bench.baselines:
        if row.slice == "all":
            table.add_row(
                baseline_words(row), "", wording.number(row.accuracy),
                wording.number(row.mae, 2), "", "", "", style="dim",
            )  # fmt: skip
    console.print(table)
    asked = wording.plural(bench.questions, "question")
    note = f"{asked} · ± half of the 95 % interval · none: no number"
    console.print(Text(note, style="dim"))


def _half(mark: Mark, places: int) -> str:
    """`0.145 ±0.02`."""
    if mark.low is None or mark.high is None:
        return wording.number(mark.value, places)
    return f"{wording.number(mark.value, places)} ±{(mark.high - mark.low) / 2:.2f}"
