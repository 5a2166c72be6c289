"""One iteration of learning from ratings: choose episodes, train on them, keep all in a folder.

The folder names what it was made from by digest, so a resumed study never goes on with weights
of other transcripts.
"""

import copy
import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, model_validator

from seedbed.core.config import Config, digest
from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_json, read_objects, write_json, write_rows
from seedbed.core.rows import Document
from seedbed.core.seeds import derive
from seedbed.core.transcripts import Transcript
from seedbed.models.adapters import adapt
from seedbed.models.folders import WEIGHTS, load_weights, trainable_state
from seedbed.models.subject import Checkpoint, Subject
from seedbed.training.config import Optimizer, Training
from seedbed.training.kto import Kto, KtoObjective
from seedbed.training.loop import CHECKPOINTS, SUMMARY, Progress, train
from seedbed.training.safety import Safety, drawn_safety, read_safety
from seedbed.training.samples import LABEL, episode_documents, turn_documents
from seedbed.training.selection import Selected, Selection, select
from seedbed.training.summaries import chosen_rows, summary_of

SELECTION, DOCUMENTS, HISTORY, INPUTS = (
    "selection.json", "documents.jsonl", "history.jsonl", "inputs.json",
)  # fmt: skip
OWN = "training"
_DEFAULT = Training(
    epochs=1, batch=16, optimizer=Optimizer(lr=3e-4, warmup=0.0, schedule="constant")
)


class Preference(Config):
    """How an agent learns from its episodes, iteration by iteration.

    Expert iteration trains on the best of each group, with the loss on the agent's own turns;
    KTO on the best and the worst. `decay` multiplies the learning rate after every iteration.
    """

    method: Literal["expert-iteration", "kto"] = "expert-iteration"
    selection: Selection = Selection()
    training: Training = _DEFAULT
    kto: Kto = Kto()
    safety: Safety = Safety()
    decay: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _method_can_use_it(self) -> "Preference":
        chosen, training = self.selection, self.training
        if training.loss != "answer":
            raise ValueError("training: loss must be 'answer', the agent's own turns")
        if self.method == "kto":
            if training.batch < 2:
                raise ValueError("training: KTO needs a batch of 2 or more, which its KL is from")
            if training.method.kind != "mixed":
                raise ValueError(f"training: method '{training.method.kind}' is not for KTO")
        elif chosen.vetoed == "negative":
            raise ValueError("selection: vetoed 'negative' needs method 'kto'")
        elif not chosen.best:
            raise ValueError("selection: best 0 leaves expert iteration nothing to train on")
        return self

    def training_at(self, iteration: int) -> Training:
        """The training of an iteration (from 0), its learning rate decayed."""
        optimizer = self.training.optimizer
        lower = optimizer.model_copy(update={"lr": optimizer.lr * self.decay**iteration})
        return self.training.model_copy(update={"optimizer": lower})


def improve(
    subject: Subject,
    reference: Subject | None,
    transcripts: Sequence[Transcript],
    preference: Preference,
    iteration: int,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
    safety: Sequence[Document] = (),
) -> Subject:
    """Train `subject` in place on its transcripts; returns it with the iteration's checkpoint.

    `reference` is KTO's fixed reference, another model in memory than the subject's (such as
    `reference_of` the first subject). Writes
    inputs.json (digests of what went in), selection.json, documents.jsonl, history.jsonl,
    summary.json and training/ (the weights, and all that depends on the clock). A folder that
    was finished with the same inputs gives its weights back; one interrupted with them goes on;
    one of any other inputs is done again. Where nothing can be chosen nothing is trained, which
    the summary says. Raises InputError for a fixed reference that is missing or the subject's own
    model, and what `train` raises.
    """
    report = progress or (lambda done, total, text: None)
    training = preference.training_at(iteration)
    _refuse_reference(subject, reference, preference)
    own = replace(subject, seed=seed_of(seed, iteration), loss="answer", checkpoints=())
    inputs = {
        "transcripts": digest_of_transcripts(transcripts),
        "weights": digest_of_weights(subject.model),
        "reference": digest_of_weights(reference.model, whole=True)
        if reference is not None and _fixed(preference)
        else "",
        "safety": digest([d.model_dump(mode="json") for d in safety]),
        "preference": digest(preference),
        "iteration": iteration,
        "seed": seed,
    }
    if not _same_inputs(folder, inputs):
        if (folder / INPUTS).exists():
            report(0, 1, "this folder was made from other transcripts or weights; done again")
        _clear(folder)
        write_json(folder / INPUTS, inputs)
    elif (finished := _finished(folder, own, training)) is not None:
        return _handed_back(finished, subject)
    selected = select(transcripts, preference.selection, own.seed)
    documents = _documents(own, selected, preference, iteration, safety)
    write_json(folder / SELECTION, chosen_rows(selected))
    write_rows(folder / DOCUMENTS, documents)
    trained, history = own, []
    if documents:
        trained = learned(own, reference, documents, preference, training, folder / OWN, report)
        history = _without_clock(folder / OWN / HISTORY)
        (folder / OWN / HISTORY).unlink()
    write_rows(folder / HISTORY, history)
    facts: dict[str, Any] = {
        "iteration": iteration,
        "method": preference.method,
        "lr": training.optimizer.lr,
        "weights": digest_of_weights(trained.model),
        "checkpoint": trained.checkpoints[-1].step if trained.checkpoints else None,
    }
    if preference.method == "kto":
        facts["engine"] = preference.kto.engine
        labels = _labels(documents)
        facts["loss_weights"] = preference.kto.weights(sum(labels), len(labels) - sum(labels))
    summary = summary_of(transcripts, selected, documents, history, preference.selection)
    # Last of all: it says that everything else is whole.
    write_json(folder / SUMMARY, {**summary, **facts})
    return _handed_back(trained, subject)


def seed_of(seed: int, iteration: int) -> int:
    """The seed that an iteration of a study's seed trains with."""
    return derive(seed, "improve", iteration)


def _handed_back(trained: Subject, given: Subject) -> Subject:
    return replace(trained, seed=given.seed)


def learned(
    subject: Subject,
    reference: Subject | None,
    documents: Sequence[Document],
    preference: Preference,
    training: Training,
    folder: Path,
    progress: Progress | None,
) -> Subject:
    """Train `subject` in place on what an iteration chose, as `improve` does; raises as `train`."""
    if preference.method == "expert-iteration":
        return train(subject, documents, training, folder, progress)
    labels, weights = _labels(documents), [d.weight for d in documents]
    model = reference.model if reference is not None and _fixed(preference) else None
    kto = preference.kto
    if kto.engine == "trl":
        from seedbed.training.kto_trl import train_with_trl

        return train_with_trl(subject, model, documents, labels, kto, training, folder, progress)
    objective = KtoObjective(kto, labels, weights, subject.context, model, subject.batch)
    return train(subject, documents, training, folder, progress, objective)


def _documents(
    subject: Subject,
    selected: Selected,
    preference: Preference,
    iteration: int,
    safety: Sequence[Document],
) -> list[Document]:
    """What is trained on: the chosen episodes, by group and rank, then safety data."""
    kto = preference.method == "kto"
    chosen = selected.chosen if kto else selected.best
    make: Callable[..., list[Document]] = episode_documents
    if kto and preference.kto.per == "turn":
        make = turn_documents
    documents = make(subject.tokenizer, chosen, iteration)
    mix = preference.safety
    source = read_safety(Path(mix.file)) if mix.file and mix.share else list(safety)
    extra = mix.count(len(documents))
    documents += drawn_safety(
        subject.tokenizer, source, extra, subject.seed, preference.method, iteration
    )
    return documents


def _labels(documents: Sequence[Document]) -> list[bool]:
    return [bool(d.marks[LABEL]) for d in documents]


def _fixed(preference: Preference) -> bool:
    return preference.method == "kto" and preference.kto.reference == "fixed"


def _refuse_reference(subject: Subject, reference: Subject | None, preference: Preference) -> None:
    if not _fixed(preference):
        return
    if reference is None:
        raise InputError("KTO: reference 'fixed' needs a reference; hand one over")
    if reference.model is subject.model:
        raise InputError(
            "KTO: the reference is the model that is trained, so it would move with it; hand"
            " over a copy, or set reference: moving"
        )


def reference_of(subject: Subject) -> Subject:
    """A frozen copy of the subject as it stands, which training leaves alone."""
    model = copy.deepcopy(subject.model).eval().requires_grad_(requires_grad=False)
    return replace(subject, model=model)


def digest_of_weights(model: Any, whole: bool = False) -> str:
    """SHA-256 (hex) of the tensors that training changes, by name, type and shape.

    `whole`: of all parameters, frozen ones too.
    """
    found = hashlib.sha256()
    state = dict(model.named_parameters()) if whole else trainable_state(model)
    for name, tensor in sorted(state.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        raw = tensor.detach().contiguous().cpu().reshape(-1)
        found.update(raw.view(torch.uint8).numpy().data)
    return found.hexdigest()


def digest_of_transcripts(transcripts: Sequence[Transcript]) -> str:
    """SHA-256 (hex) of transcripts in the order of their ids."""
    found = hashlib.sha256()
    for transcript in sorted(transcripts, key=lambda t: t.id):
        found.update(transcript.model_dump_json().encode() + b"\n")
    return found.hexdigest()


def _same_inputs(folder: Path, inputs: dict[str, Any]) -> bool:
    path = folder / INPUTS
    return path.exists() and bool(read_json(path) == inputs)


def _clear(folder: Path) -> None:
    """Remove what an iteration writes; what others keep in the folder stays."""
    for name in (SUMMARY, SELECTION, DOCUMENTS, HISTORY, INPUTS):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / OWN, ignore_errors=True)


def _finished(folder: Path, subject: Subject, training: Training) -> Subject | None:
    """The trained subject if the folder is whole and holds the weights that it says."""
    if not (folder / SUMMARY).exists():
        return None
    summary = read_json(folder / SUMMARY)
    step = summary["checkpoint"]
    if step is None:
        return subject
    place = folder / OWN / CHECKPOINTS / f"{step:07d}"
    if not (place / WEIGHTS).exists():
        return None
    adapted = adapt(subject, training.lora)
    load_weights(adapted.model, place)
    if digest_of_weights(adapted.model) != summary["weights"]:
        raise ConfigError(f"{place}: these weights are not those that {folder / SUMMARY} names")
    row = Checkpoint(step, float(summary["epochs"]), float(summary["last_lr"]), place)
    return replace(adapted, checkpoints=(row,))


def _without_clock(path: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for _, row in read_objects(path)]
