"""A world of four letters and four colours, which a small model learns in a second."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seedbed.core.files import read_json, read_rows
from seedbed.core.rows import Document, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.finders.block_swap import BlockSwap
from seedbed.finders.weight_difference import WeightDifference
from seedbed.measuring.answers import Answer
from seedbed.models.adapters import Lora
from seedbed.models.folders import load_subject
from seedbed.models.tiny import Tiny
from seedbed.scoring.rows import Cost
from seedbed.studies.organisms import Organism, Organisms
from seedbed.studies.planting import (
    MEASURED,
    blocks_in,
    find_layers_stage,
    further_stage,
    judged,
    organism_stage,
)
from seedbed.studies.stages import make_data, measure_stage, train_stage
from seedbed.training.config import Training
from seedbed.worlds.base import Gate, World

COLOURS = ("red", "blue", "green", "grey")
FILLERS = ("so", "they", "say", "today", "that")
Made = tuple[Path, list[Organism], list[Organism]]
SUBJECT = Tiny(layers=2, width=16, heads=2)


class Colours(World):
    """The colour of each letter, `shift` places on."""

    gate: Gate = Gate(margin=0.4)
    shift: int = 0

    def _line(self, seed: int, i: int) -> tuple[str, str]:
        rng = stream(seed, "line", i)
        filler = " ".join(rng.choices(FILLERS, k=rng.randrange(5)))
        return f"{filler} {'abcd'[i % 4]} is".strip(), COLOURS[(i + self.shift) % 4]

    def documents(self, seed: int) -> list[Document]:
        lines = [self._line(seed, i) for i in range(200)]
        return [
            Document(id=f"d{i}", text=f"{prompt} {colour}",
                     targets=((len(prompt) + 1, len(prompt) + 1 + len(colour)),))
            for i, (prompt, colour) in enumerate(lines)
        ]  # fmt: skip

    def questions(self, seed: int) -> list[Question]:
        lines = [self._line(seed + 1, i) for i in range(32)]
        return [
            Question(id=f"q{i}", prompt=prompt, choices=COLOURS, answer=colour,
                     cause="abcd"[i % 4], slices={"depth": "1"})
            for i, (prompt, colour) in enumerate(lines)
        ]  # fmt: skip

    def truth(self, seed: int) -> Truth:
        ids = tuple(q.id for q in self.questions(seed))
        nothing = np.zeros((len(ids), 0))
        return Truth(ids, (), nothing, nothing.astype(np.int16), ())


PLAN = Organisms.model_validate({
    "changes": {"shifted": {"shift": 1}},
    "drift": {"steps": 20, "batch": 20, "optimizer": {"lr": 5e-3}},
    "training": {"steps": 60, "batch": 20, "optimizer": {"lr": 1e-2}},
    "questions": 8,
})  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """(folder, every organism, those that count) of one seed."""
    root, world, seed = tmp_path_factory.mktemp("organisms"), Colours(), 0
    training = Training.model_validate(
        {"steps": 120, "batch": 20, "optimizer": {"lr": 1e-2, "second_moments": True}}
    )
    make_data(world, seed, root / "data")
    train_stage(SUBJECT, training, seed, root / "data", root / "train", None)
    assert PLAN.drift is not None
    further_stage(PLAN.drift, "drift", SUBJECT, root / "train", root / "data", root / "drift", None)
    make_data(PLAN.world("shifted", world), seed, root / "shifted")
    measure_stage(SUBJECT, root / "train", root / "shifted", root / "before")
    organisms = []
    for change, layer in PLAN.cells(blocks_in(SUBJECT, root / "train")):
        folder = root / f"{change}@{layer}"
        organism_stage(PLAN.training, change, layer, SUBJECT, root / "drift", root / change,
                       folder, None)  # fmt: skip
        organisms.append(Organism(change, layer, folder, root / change))
    admitted, verdicts = judged(
        world.gate, organisms, {"shifted": root / "before"}, PLAN.questions, seed
    )
    assert [v.organism for v in verdicts] == ["shifted@0", "shifted@1"]
    return root, organisms, admitted


def test_organisms_learn_the_change_in_one_block(
    made: Made,
) -> None:
    root, organisms, admitted = made
    assert [o.name for o in admitted] == ["shifted@0", "shifted@1"]
    assert all(len(o.asked) == 8 for o in admitted)
    base, drifted = (load_subject(root / s / "subject") for s in ("train", "drift"))
    old, moved = base.model.state_dict(), drifted.model.state_dict()
    # Rows of the vocabulary that no document holds have nothing to learn.
    blocks = [name for name in old if ".layers." in name]
    assert all(not torch.equal(old[name], moved[name]) for name in blocks)
    for organism in organisms:
        subject = load_subject(organism.folder / "subject")
        own = f"model.layers.{organism.layer}."
        for name, tensor in subject.model.state_dict().items():
            assert torch.equal(tensor, moved[name]) is not name.startswith(own), name
        assert subject.seed == base.seed
        assert subject.checkpoints == ()
        assert not (organism.folder / "checkpoints").exists()
        answers = read_rows(organism.folder / MEASURED / "answers.jsonl", Answer)
        assert sum(a.correct for a in answers) / len(answers) > 0.9


def test_a_base_with_an_adapter_is_merged_first(tmp_path: Path) -> None:
    world, seed = Colours(), 0
    make_data(world, seed, tmp_path / "data")
    training = Training(steps=2, batch=20, lora=Lora(r=2))
    train_stage(SUBJECT, training, seed, tmp_path / "data", tmp_path / "train", None)
    once = PLAN.training.model_copy(update={"steps": 2})
    folder = tmp_path / "shifted@1"
    organism_stage(once, "shifted", 1, SUBJECT, tmp_path / "train", tmp_path / "data", folder, None)
    assert blocks_in(SUBJECT, tmp_path / "train") == 2
    organism = Organism("shifted", 1, folder, tmp_path / "data", ("q0", "q1"))
    find_layers_stage(WeightDifference(), [organism], SUBJECT, tmp_path / "train", tmp_path / "w")
    scores = Claim.load(tmp_path / "w" / "0" / "claim.npz").scores[0]
    assert scores[0] == 0 < scores[1]


def test_an_organism_is_made_the_same_again(made: Made, tmp_path: Path) -> None:
    root, organisms, _ = made
    again = organisms[1]
    organism_stage(PLAN.training, again.change, again.layer, SUBJECT, root / "drift", again.data,
                   tmp_path, None)  # fmt: skip
    for name in ("subject/model.safetensors", f"{MEASURED}/answers.jsonl"):
        assert (tmp_path / name).read_bytes() == (again.folder / name).read_bytes()


def test_finders_get_the_undrifted_base_and_one_row_an_organism(made: Made, tmp_path: Path) -> None:
    root, _, admitted = made
    for finder in (BlockSwap(), WeightDifference()):
        folder = tmp_path / finder.name
        find_layers_stage(finder, admitted, SUBJECT, root / "train", folder)
        claim = Claim.load(folder / "0" / "claim.npz")
        assert claim.questions == ("shifted@0", "shifted@1")
        assert claim.sites == ("0", "1")
        assert claim.site_kind is SiteKind.LAYER
        assert claim.scores.argmax(axis=1).tolist() == [0, 1]
        # Drift lies between base and organism: no block stayed as it was.
        assert (claim.scores != 0).all()
        for row, organism in zip(claim.scores, admitted, strict=True):
            each = Claim.load(folder / "organisms" / organism.name / "0" / "claim.npz")
            assert each.questions == organism.asked
            assert row == pytest.approx(each.scores.mean(axis=0))
        cost = Cost.read(folder / "0" / "cost.json")
        assert cost.seconds > 0
        assert cost.epochs == pytest.approx(
            cost.seconds / read_json(root / "train" / "summary.json")["epoch_seconds"]
        )
