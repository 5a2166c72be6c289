"""The stages of organisms: drift, training of one block, and finders of layers on the result.

Rows come from the study's own data and seed, so a world that draws its words by seed keeps
them; only the order of documents is new.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from seedbed.core.files import read_json, read_rows, write_json
from seedbed.core.rows import Document, Question
from seedbed.core.seeds import derive
from seedbed.core.sites import Claim, Floats, SiteKind
from seedbed.finders.base import Finder
from seedbed.measuring.answers import Answer
from seedbed.models.adapters import is_wrapped, unwrapped
from seedbed.models.blocks import blocks_of
from seedbed.models.folders import save_subject
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.studies.organisms import Organism, Verdict, admit, asked_of
from seedbed.studies.stages import load_stage, measure_stage, put, run_finder
from seedbed.training.config import Training
from seedbed.training.loop import Progress, train
from seedbed.worlds.base import Gate

MEASURED, BLOCKS = "measured", "blocks.json"


def blocks_in(config: SubjectConfig, trained: Path) -> int:
    """How many decoder blocks the subject of a trained stage has."""
    return len(blocks_of(_whole(config, trained).model))


def blocks_stage(
    config: SubjectConfig, trained: Path, folder: Path, progress: Progress | None
) -> None:
    """Write blocks.json: `blocks_in` of a trained stage."""
    write_json(folder / BLOCKS, blocks_in(config, trained))


def further_stage(
    training: Training,
    name: str,
    config: SubjectConfig,
    origin: Path,
    data: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    """Train the subject of the stage `origin` further on a data folder: drift, or an organism.

    The order of documents draws from the stream of `name` under the subject's seed. What is
    saved has no checkpoints: the last is the subject itself, and finders of layers read none.
    """
    subject = _whole(config, origin)
    documents = read_rows(data / "documents.jsonl", Document)
    fresh = replace(subject, seed=derive(subject.seed, "organisms", name))
    trained = train(fresh, documents, training, folder, progress)
    save_subject(replace(trained, seed=subject.seed, checkpoints=()), folder / "subject")
    shutil.rmtree(folder / "checkpoints")


def organism_stage(
    training: Training,
    change: str,
    layer: int,
    config: SubjectConfig,
    origin: Path,
    data: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    """Train one block of the stage `origin` on a changed world's data, and ask what it learned.

    The order of documents is the same for every block. Answers lie in `folder`/measured.
    """
    only = training.model_copy(update={"only_layers": (layer,)})
    further_stage(only, change, config, origin, data, folder, progress)
    measure_stage(config, folder, data, folder / MEASURED)


def judged(
    gate: Gate, organisms: Sequence[Organism], before: Mapping[str, Path], count: int, seed: int
) -> tuple[list[Organism], list[Verdict]]:
    """(those that count, each with `count` questions for finders; the verdict on every one).

    `before` are stages that measured the base, by change.
    """
    admitted, verdicts = [], []
    for organism in organisms:
        questions = read_rows(organism.data / "questions.jsonl", Question)
        answers = read_rows(organism.folder / MEASURED / "answers.jsonl", Answer)
        known = read_rows(before[organism.change] / "answers.jsonl", Answer)
        verdict = admit(gate, organism, questions, answers, known, seed)
        verdicts.append(verdict)
        if not verdict.reason:
            admitted.append(asked_of(gate, organism, questions, verdict, count))
    return admitted, verdicts


def find_layers_stage(
    finder: Finder,
    organisms: Sequence[Organism],
    config: SubjectConfig,
    trained: Path,
    folder: Path,
) -> None:
    """Run a finder on each organism, with the subject of the stage `trained` as its base.

    Folders 0, 1, … of its variants hold claim.npz [organisms, blocks], the mean over questions,
    and cost.json; organisms/NAME/0, … hold the claims by question. Finders get no documents.
    """
    base = _whole(config, trained)
    rows: dict[int, list[Floats]] = {}
    sites: tuple[str, ...] = ()
    seconds, peak = 0.0, 0.0
    for organism in organisms:
        subject = replace(_whole(config, organism.folder), base=base)
        by_id = {q.id: q for q in read_rows(organism.data / "questions.jsonl", Question)}
        asked = put(config, subject, [by_id[q] for q in organism.asked])
        claims, cost = run_finder(finder, subject, [], asked, [])
        seconds, peak = seconds + cost.seconds, max(peak, cost.peak_mib)
        for place, claim in enumerate(claims):
            claim.save(folder / "organisms" / organism.name / str(place) / "claim.npz")
            rows.setdefault(place, []).append(claim.scores.mean(axis=0))
            sites = claim.sites
    epoch = read_json(trained / "summary.json")["epoch_seconds"]
    spent = {"seconds": seconds, "peak_mib": peak, "epochs": seconds / epoch if epoch else None}
    names = tuple(o.name for o in organisms)
    for place, scores in rows.items():
        claim = Claim(names, sites, np.stack(scores), SiteKind.LAYER)
        claim.save(folder / str(place) / "claim.npz")
        write_json(folder / str(place) / "cost.json", {**spent, "shared_by": len(rows)})


def _whole(config: SubjectConfig, stage: Path) -> Subject:
    """The subject of a stage, an adapter merged into its weights."""
    subject = load_stage(config, stage)
    if not is_wrapped(subject.model):
        return subject
    # Blocks can only be compared, and one trained alone, where they hold all of their weights.
    return replace(subject, model=unwrapped(subject.model, merge=True), checkpoints=())
