"""Calling a peer through files: the subject and token ids out, a score matrix back.

The rows are token ids of seedbed's own encoding, so nothing is tokenised, padded with another
BOS or put in a chat template over there; equal documents stay apart by their place.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seedbed.core.errors import InputError, MissingPeer
from seedbed.core.files import read_json, read_text, write_json
from seedbed.finders.adapters.environments import environment, python_of, unavailable
from seedbed.finders.adapters.peers import Peer
from seedbed.models.adapters import is_wrapped
from seedbed.models.folders import save_subject, trainable_state
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

RUNNERS = Path(__file__).parent / "runners"
LOG = "log.txt"
ERROR = re.compile(r"[\w.]+(Error|Exception)\b")
Draws = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Answer:
    """What came back: scores [questions, documents] and what the run says about itself.

    `seconds` is CPU time of each repetition of the scoring alone, `peak_mib` the memory above
    the loaded model.
    """

    scores: NDArray[np.float64]
    seconds: tuple[float, ...]
    peak_mib: float
    version: str
    notes: dict[str, str]


def ask(
    peer: Peer,
    subject: Subject,
    documents: Sequence[TokenSequence],
    questions: Sequence[TokenSequence],
    options: Mapping[str, Any],
    draws: Draws = (),
) -> Answer:
    """Let `peer` score the rows in a process of its own; `draws` as in `export`.

    Raises MissingPeer if its environment is not there, InputError if the subject carries an
    adapter or the run fails; the log then stays, in the subject's scratch folder if it has one.
    """
    if why := unavailable(peer):
        raise MissingPeer(why)
    if is_wrapped(subject.model):
        raise InputError(
            f"{peer.name}: the subject carries an adapter, and this package scores full subjects"
            " only; use the finder 'gradients', or train without lora"
        )
    place = subject.scratch
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
        for left in place.glob(f"{peer.name}-*"):
            # An interrupted call left it; half an exchange helps nobody.
            shutil.rmtree(left)
    folder = Path(tempfile.mkdtemp(prefix=f"{peer.name}-", dir=place))
    export(subject, documents, questions, options, folder, draws)
    run([str(python_of(peer)), str(RUNNERS / f"run_{peer.name}.py")], folder, peer.name)
    answer = collect(folder, peer.name, (len(questions), len(documents)))
    shutil.rmtree(folder)
    return answer


def export(
    subject: Subject,
    documents: Sequence[TokenSequence],
    questions: Sequence[TokenSequence],
    options: Mapping[str, Any],
    folder: Path,
    draws: Draws = (),
    repeat: int = 1,
) -> None:
    """Write what a runner reads: subject/, documents.npz, questions.npz and job.json.

    `draws` has for each document a number in [0, 1) a predicted token, from which a label is
    drawn where a Fisher matrix needs the model's own; `repeat` runs the scoring so often.
    """
    save_subject(replace(subject, checkpoints=()), folder / "subject")
    np.save(folder / "draws.npy", np.fromiter((u for row in draws for u in row), dtype=np.float64))
    for name, rows in (("documents", documents), ("questions", questions)):
        ids = np.fromiter((i for row in rows for i in row.ids), dtype=np.int64)
        predicted = np.fromiter((p for row in rows for p in row.predicted), dtype=np.bool_)
        ends = np.cumsum([len(row.ids) for row in rows])
        np.savez(folder / f"{name}.npz", ids=ids, predicted=predicted, ends=ends)
    write_json(
        folder / "job.json",
        {
            "options": dict(options),
            "trainable": sorted(trainable_state(subject.model)),
            "dtype": str(subject.model.dtype).removeprefix("torch."),
            "device": str(subject.device),
            "batch": subject.batch,
            "threads": torch.get_num_threads(),
            "seed": subject.seed,
            "repeat": repeat,
        },
    )


def run(command: list[str], folder: Path, name: str) -> None:
    """Run a runner on `folder`; raises InputError with its error and the log's place."""
    log = folder / LOG
    threads = str(torch.get_num_threads())
    environ = {**environment(), "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            [*command, str(folder)], stdout=file, stderr=subprocess.STDOUT, check=False, env=environ
        )
    if done.returncode:
        lines = [line.strip() for line in read_text(log).splitlines() if line.strip()]
        # A progress bar that closes late may stand below the error.
        told = [line for line in lines if ERROR.match(line)] or lines
        last = told[-1] if told else f"it ended with code {done.returncode}"
        raise InputError(f"{name}: {last[:300]} (log: {log})")


def collect(folder: Path, name: str, shape: tuple[int, int]) -> Answer:
    """Read what a runner wrote; raises InputError for a wrong shape or a score not finite."""
    path = folder / "scores.npy"
    if not path.is_file():
        raise InputError(f"{name}: it wrote no scores (log: {folder / LOG})")
    scores = np.load(path, allow_pickle=False)
    if scores.shape != shape:
        raise InputError(f"{name}: its scores have shape {scores.shape}, expected {shape}")
    if bad := int((~np.isfinite(scores)).sum()):
        raise InputError(f"{name}: {bad} of its {scores.size} scores are not finite")
    told = read_json(folder / "report.json")
    seconds = tuple(float(s) for s in told["seconds"])
    notes = {str(key): str(value) for key, value in told["notes"].items()}
    return Answer(scores, seconds, float(told["peak_mib"]), str(told["version"]), notes)
