"""Peers beside seedbed on equal terms: the same weights, token ids and parameters to score.

Each scores in a process of its own, ours too, one after another; only the scoring counts, not
start-up, imports and loading. Alone: python benchmarks/peers.py [--json FILE] [--repeat N].
"""

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seedbed.core.errors import InputError
from seedbed.core.files import read_json, write_json, write_rows
from seedbed.core.rows import Document, Question
from seedbed.finders.adapters.bergson import Bergson
from seedbed.finders.adapters.dattri_llm import DattriLlm
from seedbed.finders.adapters.environments import python_of
from seedbed.finders.adapters.exchange import RUNNERS, Answer, collect, export, run
from seedbed.finders.adapters.kronfluence import Kronfluence
from seedbed.finders.adapters.peer import PeerFinder, draws_of
from seedbed.finders.adapters.traker import Traker
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence
from table import Row, arguments, missing, show

Array = NDArray[np.float64]
HERE = Path(__file__).parent
SECONDS, MEMORY = "CPU s", "MiB above the model"


class Given(Protocol):
    """What is scored: `Work` of work.py, or anything with the same fields."""

    subject: Subject
    documents: list[Document]
    questions: list[Question]
    rows: list[TokenSequence]
    asked: list[TokenSequence]


@dataclass(frozen=True)
class Contest:
    """One way of a peer beside one of ours, both on the parameters that `keep` names."""

    work: str
    peer: str
    finder: PeerFinder
    own: str
    keep: Callable[[str], bool]
    agree: Callable[[Array, Array], str]
    settings: dict[str, Any] = field(default_factory=dict)
    repeat: int | None = None
    script: Path | None = None
    most: int | None = None

    def runner(self) -> Path:
        """The script that runs in the peer's environment."""
        return self.script or RUNNERS / f"run_{self.finder.peer.name}.py"


def linear(name: str) -> bool:
    """A weight of a linear layer, the head included."""
    return name.endswith("_proj.weight") or name == "lm_head.weight"


def without_head(name: str) -> bool:
    """A weight of a linear layer within the blocks."""
    return name.endswith("_proj.weight")


def with_embeddings(name: str) -> bool:
    """A weight of a linear layer or of the token embedding."""
    return linear(name) or name == "model.embed_tokens.weight"


def every(name: str) -> bool:
    """All parameters."""
    return bool(name)


def difference(found: Array, wanted: Array) -> str:
    """Largest difference over the largest value."""
    worst = np.abs(found - wanted).max() / np.abs(wanted).max()
    return f"largest difference {worst:.0e} of the largest value"


def ranks(found: Array, wanted: Array) -> str:
    """Mean and least Spearman correlation over questions."""
    each = [_spearman(a, b) for a, b in zip(found, wanted, strict=True)]
    return f"Spearman {np.mean(each):.4f} (least {min(each):.4f} of {len(each)} questions)"


def correlated(found: Array, wanted: Array) -> str:
    """Least correlation over questions, where rounding is blown up on the way."""
    each = [np.corrcoef(a, b)[0, 1] for a, b in zip(found, wanted, strict=True)]
    return f"correlation {np.mean(each):.4f} (least {min(each):.4f} of {len(each)} questions)"


def other(found: Array, wanted: Array) -> str:
    """Correlation of scores that are not meant to be equal."""
    return f"other scores: correlation {np.corrcoef(found.ravel(), wanted.ravel())[0, 1]:.2f}"


EXACT, EKFAC = "gradient dot product", "EK-FAC influence"
CONTESTS = (
    Contest(f"{EXACT}, blocks", "bergson, streamed", Bergson(), "exact", without_head, difference),
    Contest(f"{EXACT}, blocks", "bergson, stored", Bergson(store=True), "exact", without_head,
            difference),
    Contest(f"{EXACT}, linear", "bergson, streamed, with the head", Bergson(head=True), "exact",
            linear, difference),
    Contest(f"{EXACT}, linear", "kronfluence, identity", Kronfluence(strategy="identity"), "exact",
            linear, difference),
    Contest(f"{EXACT}, linear and embedding", "dattri-llm, TracIn", DattriLlm(), "exact",
            with_embeddings, difference),
    Contest(f"{EXACT}, all", "traker, projected to 256", Traker(projection=256), "exact", every,
            other, repeat=1),
    Contest(EKFAC, "kronfluence, same drawn labels", Kronfluence(), "ekfac", linear, ranks,
            {"damping": 0.1, "labels": "sampled"}),
    Contest(EKFAC, "kronfluence, true labels", Kronfluence(fisher="empirical"), "ekfac", linear,
            ranks, {"damping": 0.1, "labels": "empirical"}),
    Contest(EKFAC, "dattri-llm", DattriLlm(method="ekfac", embeddings=False),
            "ekfac", linear, ranks, {"damping": 1e-3, "relative": False, "labels": "empirical"}),
    Contest(EKFAC, "dattri-llm, captures kept",
            DattriLlm(method="ekfac", embeddings=False, keep=True),
            "ekfac", linear, ranks, {"damping": 1e-3, "relative": False, "labels": "empirical"}),
    Contest(f"{EKFAC}, 64 MiB to keep", "kronfluence, same drawn labels", Kronfluence(), "ekfac",
            linear, ranks, {"damping": 0.1, "labels": "sampled", "memory": 64}),
    Contest("unrolled derivatives, one epoch, 8 questions", "bergson, MAGIC", Bergson(), "unrolled",
            every, correlated, {"lr": 1e-3, "betas": (0.9, 0.95)}, 1, HERE / "run_magic.py", 8),
)  # fmt: skip


def peer_rows(given: Given, repeat: int, contests: Sequence[Contest] = CONTESTS) -> list[Row]:
    """Two rows for each contest, CPU seconds and peak memory; a reason where it cannot be run."""
    rows: list[Row] = []
    for contest in contests:
        units = (SECONDS, MEMORY)
        why = contest.finder.unavailable()
        if not why:
            with _exported(given, contest, contest.repeat or repeat) as folder:
                ours = _scored([sys.executable, str(HERE / "own.py"), contest.own], folder, "own")
                try:
                    theirs = _scored(
                        [str(python_of(contest.finder.peer)), str(contest.runner())],
                        folder,
                        contest.peer,
                    )
                except InputError as error:
                    why = str(error)
        if why:
            rows += [missing(contest.work, contest.peer, unit, why) for unit in units]
            continue
        alike = contest.agree(ours.scores, theirs.scores)
        pairs = [_seconds(ours), _seconds(theirs)], [ours.peak_mib, theirs.peak_mib]
        for unit, (a, b) in zip(units, pairs, strict=True):
            rows.append(Row(contest.work, contest.peer, a, b, b / a, unit, alike))
    return rows


def _seconds(answer: Answer) -> float:
    return statistics.median(answer.seconds)


@contextmanager
def _exported(given: Given, contest: Contest, repeat: int) -> Iterator[Path]:
    """A folder that both sides read, with the parameters to score marked as trainable."""
    model = given.subject.model
    kept = {name: p.requires_grad for name, p in model.named_parameters()}
    asked, questions = given.asked[: contest.most], given.questions[: contest.most]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(contest.keep(name))
        try:
            draws = draws_of(given.subject, given.documents, given.rows)
            options = contest.settings if contest.script else contest.finder.options()
            export(given.subject, given.rows, asked, options, folder, draws, repeat)
        finally:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(kept[name])
        write_rows(folder / "documents.jsonl", given.documents)
        write_rows(folder / "questions.jsonl", questions)
        write_json(folder / "own.json", contest.settings)
        write_json(folder / "shape.json", [len(asked), len(given.rows)])
        yield folder


def _scored(command: list[str], folder: Path, name: str) -> Answer:
    rows, columns = read_json(folder / "shape.json")
    run(command, folder, name)
    answer = collect(folder, name, (rows, columns))
    (folder / "scores.npy").unlink()
    return answer


def _spearman(a: Array, b: Array) -> float:
    ranked = [np.argsort(np.argsort(x)) for x in (a, b)]
    return float(np.corrcoef(ranked[0], ranked[1])[0, 1])


def main() -> None:
    from work import Work

    options = arguments(__doc__ or "", repeat=3)
    given = Work("text")
    title = f"{len(given.rows)} documents × {len(given.asked)} questions, one thread, peers"
    show(peer_rows(given, options.repeat), title, options.json)


if __name__ == "__main__":
    main()
