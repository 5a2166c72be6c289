"""What stands behind a number: questions that a finder was marked best and worst on, and how.

Reads only the files that are needed, one seed's; what cannot be read is a reason, not an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from seedbed.core.cells import Cell
from seedbed.core.errors import DataError, SeedbedError
from seedbed.core.outcomes import Outcomes
from seedbed.core.rows import Question
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.report.behind_files import Place, places
from seedbed.report.drill import aligned, known_value
from seedbed.report.leading import leading_of
from seedbed.report.mediation import cell_words
from seedbed.report.schema import ORACLE, Answer
from seedbed.report.seed_reader import row_of
from seedbed.report.slices import evidence, orders
from seedbed.scoring.effects import KINDS, Effects
from seedbed.scoring.ranking import METRICS, metric_of
from seedbed.scoring.rows import oracle_claim

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BEST, WORST = "best", "worst"
EXCERPT = 280
"""Characters of a document's text that are shown."""


@dataclass(frozen=True)
class Shown:
    """A site in a list.

    `place` is its rank for the finder (1 is best; equal scores: causes last), `site` the name in
    the files, `words` the same for a reader (`into block 3 at item4`), `value` the truth (1 a
    cause, 0 none, None nobody knows), `role` what it is to the question (`evidence:0`, `decoy`),
    `text` an excerpt for documents, else "".
    """

    place: int
    site: str
    words: str
    score: float
    value: int | None
    role: str
    text: str = ""


@dataclass(frozen=True)
class Piece:
    """A stretch of a prompt: `name` is the place that it is ("" between places).

    `cause` is the truth about a part of the input of that name (None: nobody knows, or no part),
    `place` the finder's rank of it (0: none).
    """

    text: str
    name: str = ""
    cause: int | None = None
    place: int = 0


@dataclass(frozen=True)
class Example:
    """One question, what the subject answered, and what the finder said.

    `end` is `best` or `worst`: from which end of the marks it was taken ("": all marks are the
    same, or there is none). `mark` is the metric of
    this question alone. `said` is "" and `probability` (of the right answer) None where no answer
    was kept. `pieces` put together are the prompt.
    """

    seed: int
    question: str
    end: str
    mark: float | None
    prompt: str
    pieces: tuple[Piece, ...]
    choices: tuple[str, ...]
    answer: str
    said: str
    probability: float | None
    correct: bool | None
    top: tuple[Shown, ...]
    causes: tuple[Shown, ...]
    more_causes: int = 0


@dataclass(frozen=True)
class Behind:
    """What stands behind a finder's number; `reason` says why there is nothing, else it is "".

    `asked` questions were marked in seed `seed` by `metric` over `sites` sites; `files` are the
    paths (relative to the run folder) that all of it was read from; `notes` are the finder's own.
    """

    sites: str
    finder: str
    metric: str
    seed: int | None = None
    asked: int = 0
    site_count: int = 0
    examples: tuple[Example, ...] = ()
    files: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
    reason: str = ""


class Finds:
    """The claims of one run folder; files that several finders share are read once.

    Nothing is read before `finders` or `behind` is called, and neither raises for what is wrong
    with a file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[str, list[Place]] | None = None

    def kinds(self) -> tuple[str, ...]:
        """Kinds of site that some claim is about: the world's own first, then crossed ones."""
        return tuple(self._found())

    def finders(self, sites: str) -> tuple[str, ...]:
        """Labels of the finders with a claim about that kind of site, sorted."""
        found = {name for place in self._found().get(sites, []) for name in place.finders}
        return tuple(sorted(found))

    def behind(
        self, sites: str, finder: str, count: int = 6, top: int = 5, metric: str = ""
    ) -> Behind:
        """Up to `count` questions (half of the best marked, half of the worst) of the first seed
        that has the claim, each with the `top` best sites and as many causes.

        `sites` is a kind of site (`document`, `cell`, `input`, `direction`, …). `metric` is the
        leading one if it is "" or no mark of single questions (any ranking metric is one, and
        `lds`, `group_r`, `single_r` where subjects were retrained). `oracle` is a finder too.
        """
        metric = metric if metric in _MARKS else leading_of(sites)
        try:
            place = self._place(sites, finder)
            if isinstance(place, str):
                return Behind(sites, finder, metric, reason=place)
            return _behind(self.folder, place, finder, count, top, metric)
        except (SeedbedError, OSError, ValueError) as error:
            return Behind(sites, finder, metric, reason=" ".join(str(error).split()))

    def _found(self) -> dict[str, list[Place]]:
        if self._places is None:
            self._places = places(self.folder)
        return self._places

    def _place(self, sites: str, finder: str) -> Place | str:
        """The first seed with the claim, or why there is none."""
        here = self._found().get(sites, [])
        if not here:
            if sites in (SiteKind.LAYER, SiteKind.RULE):
                return f"claims about {sites}s are about groups of questions, not single ones"
            return f"{self.folder}: no finder left a claim about {sites}s"
        known = next((p for p in here if finder in p.finders or finder == ORACLE), None)
        if known is None:
            return f"{self.folder}: no claim of '{finder}' about {sites}s; there are: " + ", ".join(
                self.finders(sites)
            )
        return known


_MARKS = (*METRICS, *(kind.metric for kind in KINDS))


def _behind(run: Path, place: Place, finder: str, count: int, top: int, metric: str) -> Behind:
    truth, claim, files = _matched(place, finder)
    scores = aligned(place.claim_file(finder), claim, truth)
    ranking = orders(scores, truth)
    marks = _marks(place, metric, scores, ranking, truth)
    if not np.isfinite(marks).any() and metric not in METRICS:
        metric = leading_of(place.sites)
        marks = _marks(place, metric, scores, ranking, truth)
    files += [place.questions.path, *([place.said.path] if place.said else [])]
    if place.sites == SiteKind.DOCUMENT and place.file("documents.jsonl").is_file():
        files.append(place.documents.path)
    return Behind(
        place.sites, finder, metric, place.seed, int(np.isfinite(marks).sum()), len(truth.sites),
        tuple(_example(place, truth, scores, ranking, q, end, marks[q], top)
              for q, end in _chosen(marks, count)),
        tuple(path.relative_to(run).as_posix() for path in files), claim.notes,
    )  # fmt: skip


def _matched(place: Place, finder: str) -> tuple[Truth, Claim, list[Path]]:
    """The truth and the claim about the same questions, and the files they come from."""
    declared = place.declared
    if finder == ORACLE and ORACLE not in place.finders:
        # The oracle is asked what the others are.
        others = [place.claim(name) for name in place.finders[:1]]
        truth = declared.select(others[0].questions) if others else declared
        return truth, oracle_claim(truth), [place.truth]
    claim = place.claim(finder)
    known = set(declared.questions)
    unknown = [q for q in claim.questions if q not in known]
    if unknown:
        what = f"speaks of {len(unknown)} questions that {place.truth} lacks, such as {unknown[0]}"
        raise DataError(place.claim_file(finder), None, what)
    return declared.select(claim.questions), claim, [place.claim_file(finder), place.truth]


def _marks(place: Place, metric: str, scores: Floats, ranking: Ints, truth: Truth) -> Floats:
    """The metric of every question [Q]; NaN where it is not defined."""
    kind = next((k for k in KINDS if k.metric == metric), None)
    if kind is None:
        positive, known = evidence(truth)
        rows = zip(positive, known, ranking, strict=True)
        return np.array([metric_of(metric, p[o][k[o]]) for p, k, o in rows], dtype=float)
    nothing = np.full(len(truth.questions), np.nan)
    if not place.outcomes.is_file():
        return nothing
    effects = Effects(kind, Outcomes.load(place.outcomes).select(truth.questions), place.seed)
    if effects.count < 2:
        return nothing
    return kind.correlation(scores @ effects.weights.T, effects.truth)


def _chosen(marks: Floats, count: int) -> list[tuple[int, str]]:
    """Questions with the end they stand for: the best first, then the worst, worst first.

    Equal marks in the order of the claim; where all are equal or there is none, the first
    questions, which stand for neither end ("").
    """
    order = [int(q) for q in np.argsort(-marks, kind="stable") if np.isfinite(marks[q])]
    if not order or marks[order[0]] == marks[order[-1]]:
        return [(q, "") for q in (order or range(len(marks)))[:count]]
    best = order[: (min(count, len(order)) + 1) // 2]
    left = sorted(order[len(best) :], key=lambda q: (marks[q], q))
    low, high = marks[order[-1]], marks[order[0]]
    return [
        *((q, BEST if marks[q] > low else "") for q in best),
        *((q, WORST if marks[q] < high else "") for q in left[: count - len(best)]),
    ]


def _example(
    place: Place, truth: Truth, scores: Floats, ranking: Ints, q: int, end: str, mark: float,
    top: int,
) -> Example:  # fmt: skip
    name = truth.questions[q]
    row = place.questions.row(name)
    if row is None:
        raise DataError(place.questions.path, None, f"has no question {name!r}")
    question = _question(row, place)
    answer = _answer(place, name)
    rank = np.empty(len(truth.sites), dtype=int)
    rank[ranking[q]] = np.arange(1, len(truth.sites) + 1)

    def shown(s: int) -> Shown:
        site = truth.sites[s]
        return Shown(
            int(rank[s]), site, _words(place.sites, site), float(scores[q, s]),
            known_value(truth.values[q, s]), truth.names[truth.labels[q, s]], _text(place, site),
        )  # fmt: skip

    causes = [int(s) for s in ranking[q] if truth.values[q, s] == 1]
    return Example(
        place.seed, name, end, float(mark) if np.isfinite(mark) else None, question.prompt,
        pieces_of(question, place.sites, truth.sites, truth.values[q], rank),
        tuple(c.strip() for c in question.choices), question.answer.strip(),
        answer.prediction.strip() if answer else "", answer.probability if answer else None,
        answer.correct if answer else None,
        tuple(shown(int(s)) for s in ranking[q][:top]), tuple(shown(s) for s in causes[:top]),
        max(0, len(causes) - top),
    )  # fmt: skip


def _question(row: dict[str, object], place: Place) -> Question:
    try:
        return Question.model_validate(row)
    except ValidationError as error:
        what = f"the question {row.get('id')!r} is unfit: {error.errors()[0]['msg']}"
        raise DataError(place.questions.path, None, what) from error


def _answer(place: Place, name: str) -> Answer | None:
    row = place.said.row(name) if place.said else None
    return row_of(Answer, row, place.answers) if row is not None else None


def _text(place: Place, site: str) -> str:
    """The beginning of a document's text; "" for other sites and documents that are gone."""
    if place.sites != SiteKind.DOCUMENT or not place.file("documents.jsonl").is_file():
        return ""
    text = str((place.documents.row(site) or {}).get("text", ""))
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1].rstrip() + "…"


def _words(sites: str, site: str) -> str:
    return cell_words(site) if sites == SiteKind.CELL and _is_cell(site) else site


def _is_cell(site: str) -> bool:
    try:
        Cell.parse(site)
    except ValueError:
        return False
    return True


def pieces_of(
    question: Question, sites: str, names: Sequence[str], values: Floats, rank: Ints
) -> tuple[Piece, ...]:
    """The prompt cut at its named places, each with the truth about it and the finder's best rank.

    `names`, `values` and `rank` are sites, the truth about them and their ranks, all [N]. A
    place of cells is a cause if one of its cells is. Places that overlap an earlier one are not
    cut out.
    """
    by_place: dict[str, list[int]] = {}
    if sites in (SiteKind.INPUT, SiteKind.CELL):
        for s, name in enumerate(names):
            by_place.setdefault(name.rpartition("@")[2], []).append(s)
    found, at = [], 0
    spans = sorted((start, end, name) for name, (start, end) in question.places.items())
    for start, end, name in spans:
        if start < at:
            continue
        if start > at:
            found.append(Piece(question.prompt[at:start]))
        here = by_place.get(name, [])
        known = [int(values[s]) for s in here if np.isfinite(values[s])]
        best = min((int(rank[s]) for s in here), default=0)
        found.append(Piece(question.prompt[start:end], name, max(known, default=None), best))
        at = end
    if at < len(question.prompt):
        found.append(Piece(question.prompt[at:]))
    return tuple(found)
