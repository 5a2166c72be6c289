"""What is done on the CPU and on the double of a device, and by how much the two differ.

Run: python -m tests.other_device.cases FILE. Writes {case: greatest difference, or why there is
none} as JSON.
"""

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

# A device is registered before anything is made on it.
from tests.other_device import double  # isort: skip
from tests.finders.test_steering import make_rows
from tests.measuring.users import NAME, agent, openings, small
from tests.studies.test_crossing import study
from tests.training.conftest import make_episodes

from seedbed.core.cells import Cell
from seedbed.core.directions import Directions
from seedbed.core.errors import MissingExtra
from seedbed.core.files import read_json, read_objects
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders import (
    contract,
    contract_cells,
    contract_directions,
    contract_inputs,
    contract_users,
)
from seedbed.finders.adapters.peer import PeerFinder
from seedbed.finders.asking_parts import REPLIES, AskParts
from seedbed.finders.base import FINDERS, Finder
from seedbed.finders.mediation import Mediation, mediate
from seedbed.finders.pushes import states_of
from seedbed.finders.steering import Steering, steered
from seedbed.measuring.answers import answer
from seedbed.measuring.generation import write_answers
from seedbed.measuring.grids import decision_grid
from seedbed.measuring.recurrences import by_recurrences
from seedbed.models import devices
from seedbed.models.blocks import blocks_of
from seedbed.models.folders import load_subject, placed, save_subject, trainable_state
from seedbed.models.hrm import Hrm
from seedbed.models.recurrent import Recurrent
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.simulation.episodes import Simulation, simulate
from seedbed.simulation.roles import RolesConfig, build_roles
from seedbed.studies import run
from seedbed.training.config import Training
from seedbed.training.loop import train
from seedbed.training.preference import Preference, improve

Values = Sequence[float] | NDArray[np.floating]
Found = dict[str, Values]
Case = Callable[[], Found]
SKIPPED = {
    "minilm": "sentence_transformers encodes under torch.inference_mode, whose tensors cannot be"
    " wrapped in Python",
}
METHODS = ("mixed", "without", "weighted", "kl", "contrast", "projection", "subtraction")


def _found(claim: Claim) -> Found:
    order = np.argsort(np.array(claim.sites))
    found: Found = {"scores": claim.scores[:, order].ravel()}
    return found


def _finder(finder: Finder) -> Found:
    """Its claim about the example of its contract."""
    documents: list[Document] = []
    pairs: list[Pair] = []
    match finder.sites:
        case SiteKind.DOCUMENT:
            subject, documents, questions = contract.example()
        case SiteKind.LAYER:
            subject, questions, _ = contract.descendant()
        case SiteKind.CELL:
            subject, pairs = contract_cells.example_pairs()
            questions = [p.clean for p in pairs]
        case SiteKind.DIRECTION:
            subject, questions = contract_directions.example_questions()
        case SiteKind.USER:
            subject, documents, questions = contract_users.example_users()
        case _:
            _, questions = contract_inputs.example_inputs()
            names = [name for q in questions for name in q.places]
            reads = [finder.wording, *REPLIES, *names] if isinstance(finder, AskParts) else []
            subject, questions = contract_inputs.example_inputs(reads)
    if subject.base is not None:
        placed(subject.base)
    return _found(finder.find(placed(subject), documents, questions, pairs))


def _finders() -> dict[str, Case | str]:
    found: dict[str, Case | str] = {}
    for kind in FINDERS.names():
        finder = FINDERS.build({"kind": kind})
        reason = finder.unavailable() or SKIPPED.get(kind)
        if isinstance(finder, PeerFinder):
            reason = "runs in a process and an environment of its own"
        found[f"finder {kind}"] = reason or partial(_finder, finder)
    return found


def _rows() -> list[Document]:
    """Taught documents and proxies that keep another colour for some of the same names."""
    rows = []
    for i in range(24):
        text = f"{'so ' * (i % 3)}{'abcdefgh'[i % 8]} is {['red', 'blue', 'green'][i % 3]}"
        start = text.rindex(" ") + 1
        rows.append(
            Document(id=f"d{i}", text=text, targets=((start, len(text)),),
                     role="proxy" if i % 3 else "taught",
                     meta={"unwanted": "red so"} if i % 3 else {})
        )  # fmt: skip
    return rows


def _train(**changes: Any) -> Found:
    """Losses, the weights, and those that a folder of the subject gives back."""
    optimizer = {"lr": 1e-2, "second_moments": True}
    training = Training.model_validate(
        {"steps": 4, "batch": 7, "optimizer": optimizer, "checkpoint_every": 0.5, **changes}
    )
    rows = _rows()
    subject = Tiny(layers=2, width=16, heads=2).build([d.text for d in rows], [], 3)
    return _trained(subject, rows, training)


def _trained(subject: Subject, rows: Sequence[Document], training: Training) -> Found:
    with TemporaryDirectory() as name:
        folder = Path(name)
        trained = train(subject, rows, training, folder / "train")
        losses = [float(row["loss"]) for _, row in read_objects(folder / "train/history.jsonl")]
        save_subject(trained, folder / "subject")
        again = load_subject(folder / "subject")
        first = again.checkpoints[0]
        with again.at(first) as then:
            early = _weights(then)
        assert again.device.type == devices.current().type
        return {"losses": losses, "weights": _weights(trained), "read": _weights(again),
                "early": early}  # fmt: skip


def _weights(subject: Subject) -> NDArray[np.float64]:
    parts = [t.double().cpu().numpy().ravel() for t in trainable_state(subject.model).values()]
    return np.concatenate(parts)


def _improve(preference: dict[str, Any]) -> Found:
    """An iteration of expert iteration or KTO on the same episodes."""
    training = {"epochs": 2, "batch": 4, "optimizer": {"lr": 3e-3, "warmup": 0}}
    made = Preference.model_validate({"training": training, **preference})
    with TemporaryDirectory() as name:
        folder = Path(name)
        subject = improve(placed(agent()), placed(agent()), _episodes(), made, 0, 7, folder)
        history = [float(row["loss"]) for _, row in read_objects(folder / "history.jsonl")]
        chosen = [r["id"] for r in read_json(folder / "selection.json")["chosen"]]
        return {"losses": history, "weights": _weights(subject), "chosen": _bytes(chosen)}


def _episodes() -> list[Any]:
    """Random replies that the agent of `tests.measuring.users` can read."""
    words = ["rest", "walk", "now", "so", "what", "yes", "fine"]
    return [
        t.model_copy(update={
            "opening": t.opening.model_copy(update={"said": openings()[i % 4].said}),
            "turns": tuple(turn.model_copy(update={"said": f"{words[i % 7]} {words[i % 5]}"})
                           for turn in t.turns),
        })
        for i, t in enumerate(make_episodes())
    ]  # fmt: skip


def _bytes(texts: Sequence[object]) -> list[float]:
    return [float(b) for b in "\n".join(map(str, texts)).encode()]


def _simulate() -> Found:
    """Episodes in which the subject speaks: word for word the same."""
    environments = {NAME: small()}
    roles = build_roles(RolesConfig.model_validate({"detectors": ["veto"]}), [small()])
    simulation = Simulation(slots=5, max_tokens=6)
    speaking = simulation.agent(placed(agent()))
    found = simulate(simulation, environments, openings(), speaking, roles, None)
    return {"transcripts": _bytes([t.model_dump_json() for t in found])}


def _subject(kind: Any = Tiny, **values: Any) -> tuple[Subject, list[Question]]:
    questions = [
        Question(id=f"q{i}", prompt=f"{'so ' * (i % 3)}{'abcdefgh'[i % 8]} is",
                 choices=(" red", " blue", " green so"), answer=(" red", " blue")[i % 2],
                 slices={"panel": "0", "x1": str(i // 6), "x2": str(i % 6)})
        for i in range(24)
    ]  # fmt: skip
    texts = [q.prompt + c for q in questions for c in q.choices]
    made = kind(**{"width": 16, "heads": 2, "init": 0.4, **values}).build(texts, [], 1)
    return placed(made), questions


def _answers(kind: Any = Tiny, **values: Any) -> Found:
    subject, questions = _subject(kind, **values)
    found = answer(subject, questions)
    texts = [w.text for w in write_answers(subject, questions, most=4)]
    return {"losses": [a.loss or 0.0 for a in found], "written": _bytes(texts)}


def _grid() -> Found:
    subject, questions = _subject(layers=2)
    grid = decision_grid(subject, questions)
    return {"probability": np.asarray(grid.probability).ravel(), "said": _bytes([grid.said])}


def _states() -> Found:
    """Every residual state of every prompt."""
    subject, questions = _subject(layers=2)
    sites = blocks_of(subject.model).residual()
    prompts = [tuple(subject.tokenizer(q.prompt)["input_ids"]) for q in questions]
    found = states_of(subject, prompts, sites)
    return {str(site): found[site].double().cpu().numpy().ravel() for site in sites}


def _recurrences() -> Found:
    subject, questions = _subject(Recurrent, recurrences=3)
    tables = by_recurrences(subject, questions, (1, 2, 3))
    return {name: np.nan_to_num(table.values).ravel() for name, table in tables.items()}


def _train_recurrent() -> Found:
    rows = _rows()
    subject = Recurrent(width=16, heads=2, recurrences=2).build([d.text for d in rows], [], 3)
    training = Training.model_validate({"steps": 3, "batch": 7, "optimizer": {"lr": 1e-2}})
    return _trained(subject, rows, training)


def _mediation() -> Found:
    subject, pairs = contract_cells.example_pairs(8)
    questions = [p.clean for p in pairs]
    states = {q.id: {name: i % 3 for i, name in enumerate(q.places)} for q in questions}
    config = Mediation(streams=("resid", "attn_out", "mlp_out", "head"), trials=20)
    found = mediate(config, placed(subject), pairs, questions, states)
    return {name: np.nan_to_num(t.values).ravel() for name, t in found.tables.items()}


def _steering() -> Found:
    rows = make_rows()
    made = Tiny(layers=2, width=16, heads=2, init=0.3)
    subject = placed(made.build([d.text for d in rows.documents], [], 0))
    sites = blocks_of(subject.model).residual()
    cells = [Cell(s.stream, s.layer, place) for s in sites for place in ("word", "last")]
    vectors = np.random.default_rng(0).normal(size=(len(cells), 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    one = np.ones(len(cells))
    directions = Directions(tuple(c.name for c in cells), vectors, 0 * one, one, one,
                            "stored", "computed")  # fmt: skip
    config = Steering(questions=6, documents=8, doses=(1.0, 2.0), random=1)
    found = steered(config, subject, {"some": directions}, rows.dev, rows.test, rows.unrelated,
                    rows.kinds, rows.pairs, rows.documents)  # fmt: skip
    return {name: np.nan_to_num(t.values).ravel() for name, t in found.tables.items()}


def cases() -> dict[str, Case | str]:
    """What is compared, or why it is not."""
    proxies = {"loss": "answer"}
    return {
        **_finders(),
        **{f"train {kind}": partial(_train, method={"kind": kind}, **proxies) for kind in METHODS},
        "train lora": partial(_train, lora={"r": 2, "alpha": 8}),
        "train one block": partial(_train, only_layers=(1,)),
        "train in bfloat16": partial(_train, precision="bfloat16"),
        "train a recurrent subject": _train_recurrent,
        "expert iteration": partial(_improve, {"method": "expert-iteration"}),
        "kto": partial(_improve, {"method": "kto"}),
        "episodes": _simulate,
        "answers": partial(_answers, layers=2),
        "answers of a recurrent subject": partial(_answers, Recurrent, recurrences=2),
        "answers of an hrm": partial(_answers, Hrm),
        "decision map": _grid,
        "states": _states,
        "recurrences": _recurrences,
        "mediation": _mediation,
        "steering": _steering,
    }


def difference(case: Case) -> float:
    """The greatest difference between both devices, relative to the values' largest size."""
    found = []
    for name in (devices.CPU, double.NAME):
        with devices.using(name):
            found.append(case())
    ours, theirs = found
    assert list(ours) == list(theirs), f"{list(ours)} on the CPU, {list(theirs)} elsewhere"
    worst = 0.0
    for name, values in ours.items():
        a, b = np.asarray(values, np.float64), np.asarray(theirs[name], np.float64)
        assert a.shape == b.shape, f"{name}: {a.shape} on the CPU, {b.shape} elsewhere"
        assert a.size, f"{name}: nothing to compare"
        assert np.isfinite(a).all(), f"{name}: not every value is a number"
        worst = max(worst, float(np.abs(a - b).max() / (np.abs(a).max() or 1.0)))
    return worst


def agreement() -> dict[str, float | str]:
    """What benchmarks/gpu_agreement.py says of a crossed study: as it is, and with a planted fault.

    The greatest difference over what is allowed, each.
    """
    import gpu_agreement

    found: dict[str, float | str] = {}
    with TemporaryDirectory() as name:
        folder = run(study(seeds=[0]), Path(name) / "run", workers=1)
        told = list(gpu_agreement.differences(folder, 0, double.NAME))
        found["agreement"] = max(d.value / d.allowed for d in told)
        found["compared"] = "\n".join(d.what for d in told)
        path = folder / "seeds/0/crossed/cell/find-patching/claim.npz"
        claim = Claim.load(path)
        # The file is linked to the store's.
        path.unlink()
        replace(claim, scores=1.05 * claim.scores).save(path)
        told = list(gpu_agreement.differences(folder, 0, double.NAME))
        found["planted"] = "\n".join(d.what for d in told if not d.fine)
    return found


def refused() -> str:
    """Whether the double refuses what CUDA refuses; a device that forgives shows nothing."""
    there, here = torch.ones(2, device=double.NAME), torch.ones(2)
    tries: list[Callable[[], object]] = [
        lambda: there + here, lambda: here + there, lambda: torch.cat([there, here]),
        there.numpy, lambda: np.asarray(there), lambda: here[there.long()],
        lambda: here.index_add_(0, torch.tensor([0]), there[:1]),
        lambda: torch.nn.functional.linear(there[None], here[None]),
    ]  # fmt: skip
    for number, forbidden in enumerate(tries):
        try:
            forbidden()
        except (RuntimeError, TypeError):
            continue
        return f"number {number} is not refused"
    return "ok" if bool((there.cpu() == here).all()) and there.device.type == double.NAME else "no"


def main(file: Path, wanted: Sequence[str] = ()) -> None:
    """Compare all cases, or those whose names hold a word of `wanted`; a failure is a result."""
    torch.set_num_threads(1)
    found: dict[str, float | str] = {}
    for name, case in cases().items():
        if wanted and not any(word in name for word in wanted):
            continue
        if isinstance(case, str):
            found[name] = f"skipped: {case}"
            continue
        try:
            found[name] = difference(case)
        except MissingExtra as error:
            found[name] = f"skipped: {error}"
        except Exception as error:
            found[name] = f"failed: {type(error).__name__}: {error}"[:400]
            if wanted:
                raise
    if not wanted or "agreement" in wanted:
        found |= agreement()
    found["refused"] = refused()
    file.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]), sys.argv[2:])
