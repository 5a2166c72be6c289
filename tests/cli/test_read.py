import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from seedbed.cli.main import app
from seedbed.core.directions import Directions
from seedbed.core.errors import ConfigError, DataError, InputError
from seedbed.core.files import write_rows
from seedbed.core.units import load_units
from seedbed.finders.kept import Kept
from seedbed.models.folders import save_subject
from seedbed.models.tiny import Tiny
from seedbed.worlds.observed.world import Observed


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """questions.jsonl of the built-in items, subject/ that can read them, and a task on them."""
    import datasets

    root = tmp_path_factory.mktemp("space")
    asked = Observed.model_validate({"splits": {"most": 24}}).questions(0)
    write_rows(root / "questions.jsonl", [q for q in asked if q.split != "unrelated"])
    texts = [t for q in asked for t in (q.prompt, *q.choices)]
    save_subject(Tiny(layers=2, width=16, heads=2, init=0.3).build(texts, [], 0), root / "subject")
    rows = [{"q": q.prompt.rstrip(), "choices": list(q.choices), "gold": q.target} for q in asked]
    (root / "items.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows[:12]))
    mean = {"aggregation": "mean", "higher_is_better": True}
    task = {"task": "items", "dataset_path": "json", "output_type": "multiple_choice",
            "dataset_kwargs": {"data_files": {"test": str(root / "items.jsonl")}},
            "test_split": "test", "doc_to_text": "{{q}}", "doc_to_choice": "{{choices}}",
            "doc_to_target": "gold", "metric_list": [{"metric": "acc", **mean}],
            "metadata": {"version": 1.0}}  # fmt: skip
    (root / "items.yaml").write_text(yaml.safe_dump(task))
    kept = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = root / "cache"
    logging.disable(logging.WARNING)
    yield root
    logging.disable(logging.NOTSET)
    datasets.config.HF_DATASETS_CACHE = kept


def seedbed(space: Path, *words: str) -> str:
    """Run a command on the subject; a failure raises its own error."""
    given = [*words, "--subject", str(space / "subject")]
    done = CliRunner().invoke(app, given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def directions(space: Path) -> Path:
    said = seedbed(space, "directions", str(space / "questions.jsonl"), "--out",
                   str(space / "directions"))  # fmt: skip
    assert "difference: dev: AUC" in said
    return space / "directions" / "difference.safetensors"


def test_states_are_saved_at_the_cells_asked_for(space: Path) -> None:
    out = space / "states"
    said = seedbed(space, "states", str(space / "questions.jsonl"), "--out", str(out),
                   "--set", "places=[last,mean]", "--set", "layers=[1]")  # fmt: skip
    kept = Kept.load(out)
    names = [cell.name for cell in kept.cells]
    assert set(names) == {f"{s}.1@{p}" for s in ("resid_pre", "resid_post")
                          for p in ("last", "mean")}  # fmt: skip
    assert f"{len(kept.questions)} questions at 4 cells" in said
    with pytest.raises(ConfigError, match="unknown key; did you mean 'layers'"):
        seedbed(space, "states", str(space / "questions.jsonl"), "--out", str(out), "--set",
                "layer=[1]")  # fmt: skip


def test_directions_are_saved_one_file_a_measure(space: Path, directions: Path) -> None:
    made = {p.stem: Directions.load(p) for p in directions.parent.glob("*.safetensors")}
    assert set(made) == {"difference", "probe", "shuffled", "random"}
    assert {(d.negative, d.positive) for d in made.values()} == {("memory", "reasoning")}
    (table,) = (t for n, t in load_units(directions.parent / "tables.npz").items()
                if n.startswith("decodable"))  # fmt: skip
    for name, one in made.items():
        chosen, there = (
            table.column(f"auc|{name}|{site}|") for site in ("chosen", one.made["site"])
        )
        assert np.array_equal(chosen, there)
        assert np.isfinite(there).all()


def test_steering_stands_beside_random_directions(space: Path, directions: Path) -> None:
    out = space / "steered"
    seedbed(space, "steer", str(space / "questions.jsonl"), "--directions", str(directions),
            "--out", str(out), "--set", "questions=3", "--set", "doses=[2]", "--set",
            "random=1")  # fmt: skip
    tables = load_units(out / "tables.npz")
    assert {"steering:all", "effect:all", "selectivity:all"} <= set(tables)
    assert any("|random-0|" in c for c in tables["effect:all"].columns)


def test_lm_eval_with_and_without_directions(space: Path, directions: Path) -> None:
    def run(name: str, *words: str) -> dict[str, object]:
        out = space / "harness" / name
        seedbed(space, "harness", str(space / "items.yaml"), "--out", str(out), *words)
        found: dict[str, object] = json.loads((out / "harness.json").read_text())
        return found

    along = ("--directions", str(directions))
    plain, none = run("plain"), run("none", *along, "--set", "steer.strength=0")
    assert plain["rows"] == none["rows"]
    samples = [(space / "harness" / n / "samples.jsonl").read_text() for n in ("plain", "none")]
    assert samples[0] == samples[1]
    everywhere = ("--set", "steer.tokens=all", "--set", "steer.strength=40")
    written = space / "steer.pt"
    steered = run("steered", *along, *everywhere, "--steered", str(written))
    assert run("again", "--directions", str(written))["rows"] == steered["rows"]
    limited = run("limited", "--limit", "5", "--num-fewshot", "0")["rows"]
    assert isinstance(limited, list)
    assert [row["n"] for row in limited] == [5]
    with pytest.raises(InputError, match="leave steer"):
        run("both", "--directions", str(written), *everywhere)
    with pytest.raises(InputError, match="give --directions"):
        run("nothing", "--set", "steer.strength=2")
    with pytest.raises(InputError, match="at all tokens"):
        run("unfit", *along, "--steered", str(written))


def test_labels_that_cannot_be_used_are_told_with_their_file(space: Path) -> None:
    rows = [json.loads(line) for line in (space / "questions.jsonl").read_text().splitlines()]
    out = space / "unfit"

    def told(name: str, changed: list[dict[str, object]]) -> str:
        path = space / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in changed))
        with pytest.raises(DataError) as error:
            seedbed(space, "directions", str(path), "--out", str(out))
        return str(error.value).removeprefix(str(space))

    typo = [{("lable" if k == "label" else k): v for k, v in row.items()} for row in rows]
    first = next(i for i, row in enumerate(typo, start=1) if "lable" in row)
    assert told("typo", typo).endswith(f"line {first}: lable: unknown key, did you mean 'label'?")
    third = [{**row, "label": "third"} if row.get("label") == "memory" and row["split"] == "dev"
             else row for row in rows]  # fmt: skip
    assert "'memory', 'reasoning', 'third'; label: the class" in told("third", third)
    assert not out.exists()


def test_steering_needs_directions_of_this_model_and_questions_of_both_classes(
    space: Path, directions: Path, tmp_path: Path
) -> None:
    asked, out = space / "questions.jsonl", tmp_path / "out"
    other = Directions.load(directions)
    other.made["model"] = "another"
    other.save(tmp_path / "other.safetensors")
    other.save(tmp_path / "difference.safetensors")
    along = ("--out", str(out), "--directions")
    with pytest.raises(InputError, match=r"other\.safetensors: was made of another model"):
        seedbed(space, "steer", str(asked), *along, str(tmp_path / "other.safetensors"))
    with pytest.raises(InputError, match=r"other\.safetensors: was made of another model"):
        seedbed(space, "harness", str(space / "items.yaml"), *along,
                str(tmp_path / "other.safetensors"))  # fmt: skip
    with pytest.raises(InputError, match="another file is called 'difference' too"):
        seedbed(space, "steer", str(asked), *along, str(directions), "--directions",
                str(tmp_path / "difference.safetensors"))  # fmt: skip
    rows = [json.loads(line) for line in asked.read_text().splitlines()]
    one = tmp_path / "one.jsonl"
    one.write_text("".join(json.dumps(r) + "\n" for r in rows if r["slices"]["kind"] == "memory"))
    with pytest.raises(DataError, match=r"one\.jsonl: has no question .* 'reasoning'"):
        seedbed(space, "steer", str(one), *along, str(directions))
    assert not out.exists()
