"""The stages of one seed, each a function that fills a folder; what workers and commands run."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

from seedbed.core.conversation import is_markup
from seedbed.core.errors import InputError
from seedbed.core.files import read_json, read_rows, write_json, write_rows
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.core.units import save_units
from seedbed.finders.base import Finder
from seedbed.finders.mediation import Mediation, mediate
from seedbed.finders.retraining import outputs, retrain
from seedbed.measuring.answers import answer, summarise
from seedbed.models.folders import load_subject, save_subject
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.models.tokens import encode_choices
from seedbed.runs.cost import Measured, measured
from seedbed.runs.store import link_tree
from seedbed.training.config import Training
from seedbed.training.loop import Progress, train
from seedbed.training.trackers import is_main_process
from seedbed.worlds.base import World

SCRATCH, SUBJECT, BASE, VOCABULARY = "scratch", "subject", "base", "vocabulary.json"


def make_data(world: World, seed: int, folder: Path) -> None:
    """Write documents.jsonl, questions.jsonl, pairs.jsonl, tokens.json, states.json, truth.npz.

    And vocabulary.json, for a world that has any.
    """
    write_rows(folder / "documents.jsonl", world.documents(seed))
    write_rows(folder / "questions.jsonl", world.questions(seed))
    write_rows(folder / "pairs.jsonl", world.pairs(seed))
    write_json(folder / "tokens.json", world.tokens(seed))
    if words := world.vocabulary(seed):
        write_json(folder / VOCABULARY, words)
    write_json(folder / "states.json", world.states(seed))
    world.truth(seed).save(folder / "truth.npz")


def read_documents(folder: Path) -> list[Document]:
    """The documents of a data folder; there are none where nothing was planted."""
    path = folder / "documents.jsonl"
    return read_rows(path, Document) if path.exists() and path.stat().st_size else []


def read_pairs(folder: Path) -> list[Pair]:
    """The pairs of a data folder; a world may have none."""
    path = folder / "pairs.jsonl"
    return read_rows(path, Pair) if path.exists() and path.stat().st_size else []


def read_vocabulary(folder: Path) -> list[str]:
    """The further texts of a data folder's vocabulary; most worlds have none."""
    path = folder / VOCABULARY
    return list(read_json(path)) if path.exists() else []


def make_subject(
    config: SubjectConfig,
    training: Training | None,
    documents: Sequence[Document],
    questions: Sequence[Question],
    tokens: Sequence[str],
    seed: int,
    folder: Path,
    progress: Progress | None = None,
    check: Callable[[Mapping[str, int]], None] | None = None,
    words: Sequence[str] = (),
) -> Subject:
    """Build, train and save a subject to `folder`/subject, checkpoints beside it.

    Questions and `words` lend their words to a from-scratch vocabulary, never to training;
    `tokens` become one token each. Without `training` the subject is saved as it is. `check` is
    told the tokens of every choice before training begins.
    """
    texts = [d.text for d in documents]
    texts += [f"{q.prompt} {c}" for q in questions for c in q.choices or (q.answer,)]
    texts += words
    subject = config.build(texts, tokens, seed)
    if check is not None:
        check(choice_lengths(subject, questions))
    if training is None:
        untrained(subject, folder)
    else:
        subject = train(subject, relaid(subject, documents), training, folder, progress)
    if is_main_process():
        save_subject(subject, folder / SUBJECT)
    return subject


def relaid(subject: Subject, documents: Sequence[Document]) -> list[Document]:
    """The documents with conversations laid out as the subject knows them."""
    from seedbed.models.conversations import relaid_document

    return [relaid_document(subject.tokenizer, d) for d in documents]


def choice_lengths(subject: Subject, questions: Sequence[Question]) -> dict[str, int]:
    """Choice → how many tokens it adds to the first prompt that offers it."""
    first = {c: q.prompt for q in reversed(questions) for c in reversed(q.choices)}
    pairs = [(prompt, choice) for choice, prompt in first.items()]
    coded = encode_choices(subject.tokenizer, pairs, subject.context)
    return {choice: len(ids) for (_, choice), (_, ids) in zip(pairs, coded, strict=True)}


def untrained(subject: Subject, folder: Path) -> None:
    """Write the summary.json of a subject that is taken as it is."""
    count = sum(p.numel() for p in subject.model.parameters())
    nothing = {"steps": 0, "epochs": 0.0, "seconds": 0.0, "epoch_seconds": None}
    write_json(folder / "summary.json", {**nothing, "parameters": count})


def measure(subject: Subject, questions: Sequence[Question], folder: Path) -> None:
    """Write answers.jsonl and summary.json."""
    answers = answer(subject, questions)
    write_rows(folder / "answers.jsonl", answers)
    write_json(folder / "summary.json", [s.model_dump() for s in summarise(questions, answers)])


def run_finder(
    finder: Finder,
    subject: Subject,
    documents: Sequence[Document],
    questions: Sequence[Question],
    pairs: Sequence[Pair],
) -> tuple[list[Claim], Measured]:
    """Run a finder on blind rows: the claims of its variants, and what all of them cost.

    Finders of directions see no rules either: what each class would answer tells, beside the
    answer, the class. Raises InputError if a claim's axes are not the rows given.
    """
    blind = (
        [d.blind() for d in documents],
        [_unruled(finder, q.blind()) for q in questions],
        [
            p.model_copy(
                update={
                    "clean": _unruled(finder, p.clean),
                    "corrupt": _unruled(finder, p.corrupt),
                }
            )
            for p in (pair.blind() for pair in pairs)
        ],
    )
    subject.model.eval()
    with measured() as cost:
        claims = finder.find_all(subject, *blind)
    for claim in claims:
        if claim.questions != tuple(q.id for q in questions):
            raise InputError(f"finder '{finder.name}': its claim does not name the questions asked")
        if claim.site_kind is SiteKind.DOCUMENT and claim.sites != tuple(d.id for d in documents):
            raise InputError(f"finder '{finder.name}': its claim does not name the documents given")
    return claims, cost


def _unruled(finder: Finder, question: Question) -> Question:
    if finder.sites is not SiteKind.DIRECTION:
        return question
    return question.model_copy(update={"rules": {}})


def train_stage(
    config: SubjectConfig,
    training: Training | None,
    seed: int,
    data: Path,
    folder: Path,
    progress: Progress | None,
    check: Callable[[Mapping[str, int]], None] | None = None,
) -> None:
    """`make_subject` on a data folder."""
    documents = read_documents(data)
    questions = read_rows(data / "questions.jsonl", Question)
    tokens = read_json(data / "tokens.json")
    make_subject(
        config, training, documents, questions, tokens, seed, folder, progress, check,
        read_vocabulary(data),
    )  # fmt: skip


def measure_stage(config: SubjectConfig, trained: Path, data: Path, folder: Path) -> None:
    """`measure` on a trained stage and a data folder."""
    subject = load_stage(config, trained)
    measure(subject, put(config, subject, read_rows(data / "questions.jsonl", Question)), folder)


def put(config: SubjectConfig, subject: Subject, questions: Sequence[Question]) -> list[Question]:
    """The questions as the subject is asked them: through its chat template where wanted.

    Conversations are always laid out as the subject knows them.
    """
    from seedbed.models.conversations import relaid_question

    if any(is_markup(q.prompt) for q in questions):
        return [relaid_question(subject.tokenizer, q) for q in questions]
    if not getattr(config, "chat", False):
        return list(questions)
    from seedbed.models.templates import templated

    return [templated(subject.tokenizer, q) for q in questions]


def put_pairs(config: SubjectConfig, subject: Subject, pairs: Sequence[Pair]) -> list[Pair]:
    """Both sides of each pair, as `put` does."""
    sides = [put(config, subject, [p.clean, p.corrupt]) for p in pairs]
    return [
        p.model_copy(update={"clean": clean, "corrupt": corrupt})
        for p, (clean, corrupt) in zip(pairs, sides, strict=True)
    ]


def load_stage(config: SubjectConfig, trained: Path, name: str = SUBJECT) -> Subject:
    """The subject that a stage left (`name` BASE: what it was before feedback)."""
    # Code that came with a model runs only where the study's own subject allows it.
    code = bool(getattr(config, "trust_remote_code", False))
    return load_subject(trained / name, trust_remote_code=code)


def with_base(config: SubjectConfig, subject: Subject, trained: Path) -> Subject:
    """The subject beside what it was before feedback, where the stage kept that."""
    if not (trained / BASE).exists():
        return subject
    return replace(subject, base=load_stage(config, trained, BASE))


def find_stage(
    finder: Finder,
    asked: Sequence[str],
    config: SubjectConfig,
    trained: Path,
    data: Path,
    folder: Path,
) -> None:
    """`run_finder` on a trained stage and a data folder, for the questions named.

    Finders of directions are shown the labelled examples before them.
    """
    by_id = {q.id: q for q in read_rows(data / "questions.jsonl", Question)}
    shown = [by_id[q] for q in asked]
    if finder.sites is SiteKind.DIRECTION:
        shown = [*(q for q in by_id.values() if q.label), *shown]
    subject = replace(load_stage(config, trained), scratch=folder / SCRATCH)
    subject = with_base(config, subject, trained)
    claims, cost = run_finder(
        finder,
        subject,
        relaid(subject, read_documents(data)),
        put(config, subject, shown),
        put_pairs(config, subject, read_pairs(data)),
    )
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    epoch = read_json(trained / "summary.json")["epoch_seconds"]
    spent = {"seconds": cost.seconds, "peak_mib": cost.peak_mib,
             "epochs": cost.seconds / epoch if epoch else None}  # fmt: skip
    for place, claim in enumerate(claims):
        claim.among(tuple(asked)).save(folder / str(place) / "claim.npz")
        write_json(folder / str(place) / "cost.json", {**spent, "shared_by": len(claims)})


def link_claims(finder: Finder, stage: Path, seed_folder: Path) -> list[str]:
    """Show the claims that `find_stage` left in `stage` as find-NAME of a seed; their names."""
    names = [variant.name for variant in finder.variants()]
    for place, name in enumerate(names):
        link_tree(stage / str(place), seed_folder / f"find-{name}")
    return names


def mediate_stage(
    config: Mediation,
    asked: Sequence[str],
    by: str,
    subject: SubjectConfig,
    trained: Path,
    data: Path,
    folder: Path,
) -> None:
    """Causal mediation on the pairs of the questions named; states.json lends the true states.

    Donors and probes take every held-out question of the gate's groups (values of the slice
    `by`) that the questions named are from: those that passed.
    """
    ready = load_stage(subject, trained)
    wanted = set(asked)
    pairs = [p for p in read_pairs(data) if p.clean.id in wanted]
    held_out = [q for q in read_rows(data / "questions.jsonl", Question) if q.split == "id"]
    passed = {q.slices.get(by) for q in held_out if q.id in wanted}
    questions = [q for q in held_out if q.slices.get(by) in passed]
    with measured() as cost:
        found = mediate(
            config,
            ready,
            put_pairs(subject, ready, pairs),
            put(subject, ready, questions),
            read_json(data / "states.json"),
        )
    save_units(folder / "tables.npz", found.tables)
    spent = {"seconds": cost.seconds, "peak_mib": cost.peak_mib}
    write_json(folder / "engine.json", {**found.engine, **spent})


def retrain_stage(
    config: SubjectConfig,
    training: Training,
    output: Literal["logp", "odds"],
    data: Path,
    left_out: Sequence[int],
    seed: int,
    folder: Path,
    progress: Progress | None,
) -> None:
    """One retraining of the bank: outputs.json holds what it gives for the questions of id."""
    documents, questions, tokens, words = _inputs(data)
    subject = retrain(
        config, training, documents, tokens, questions, left_out, seed, folder, progress, words
    )
    asked = [q for q in questions if q.split == "id"]
    values = outputs(subject, asked, output)
    write_json(folder / "outputs.json", {"questions": [q.id for q in asked], "outputs": values})
    shutil.rmtree(folder / "checkpoints")


@lru_cache(maxsize=4)
def _inputs(data: Path) -> tuple[list[Document], list[Question], list[str], list[str]]:
    # A worker retrains on the same rows many times over.
    documents = read_documents(data)
    questions = read_rows(data / "questions.jsonl", Question)
    return documents, questions, read_json(data / "tokens.json"), read_vocabulary(data)


def set_threads(threads: int) -> None:
    """Torch threads of this process."""
    torch.set_num_threads(threads)


@contextmanager
def alone(lock: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Hold `lock` in the main process; its fellows under `accelerate launch` go without."""
    with lock() if is_main_process() else nullcontext():
        yield
