import importlib.util
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.models.conftest import make_tokenizer

from seedbed.core.directions import Directions
from seedbed.core.errors import ConfigError, InputError
from seedbed.models.reading import quiet
from seedbed.studies.job_steps import edges
from seedbed.studies.jobs import Job, load_job, model_of, run_job

FILES = Path(__file__).parents[2] / "studies" / "jobs"
NAMES = sorted(path.stem for path in FILES.glob("*.yaml"))
TOPICS = ("math", "law")
# What makes the small models and few items of the test do; nothing else of a file is changed.
SMALL = {
    "states": ("subject.batch=32",),
    "directions": ("subject.batch=32", "directions.measure=[difference, probe, random]"),
    "effect": ("effect.questions=1", "effect.random=1"),
    "accuracy": ("accuracy.most=1", "accuracy.writing.tokens=3", "accuracy.writing.shots=1"),
    "harness": ("harness.limit=2", "harness.written=3"),
}


def item(n: int) -> dict[str, Any]:
    """An item in the fields of the original, a sum or a fact."""
    reasons = n % 2 == 0
    options = [str(n + k) for k in range(3)] if reasons else ["red", "blue", "green"]
    return {"question_id": n, "question": f"{n} + 1 ?" if reasons else f"hue {n} ?",
            "options": options, "answer": "ABC"[n % 3], "answer_index": n % 3,
            "cot_content": "A: Let's think step by step. The answer is (A).",
            "category": TOPICS[n // 2 % 2], "src": "test",
            "memory_reason_score": 0.9 if reasons else 0.1}  # fmt: skip


CODE = Path(__file__).parents[1] / "models" / "double" / "huginn_double.py"


def huginn(folder: Path) -> None:
    """A folder with code of its own, laid out like Huginn-0125: 2 + 4 × 32 + 2 layers."""
    spec = importlib.util.spec_from_file_location("huginn_double", CODE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tokenizer = make_tokenizer(bos=True)
    config = module.DoubleConfig(vocab_size=len(tokenizer), n_embd=16, n_heads=2, block_size=1024,
                                 mean_recurrence=32, bos_token_id=0, eos_token_id=0)  # fmt: skip
    config.auto_map = {
        "AutoConfig": "huginn_double.DoubleConfig",
        "AutoModelForCausalLM": "huginn_double.DoubleForCausalLM",
    }
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        model = module.DoubleForCausalLM(config)
        with torch.no_grad():
            for p in model.parameters():
                if p.dim() > 1:
                    p.normal_(std=0.3)
        model.save_pretrained(folder)
    shutil.copy(CODE, folder)
    tokenizer.save_pretrained(folder)


def llama(folder: Path) -> None:
    """A Llama with more layers than the one that the jobs name."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(bos=True)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=24,
        num_attention_heads=2, num_key_value_heads=2, bos_token_id=0, eos_token_id=0,
        pad_token_id=None, initializer_range=0.3, max_position_embeddings=1024,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def clone(folder: Path, name: str, splits: dict[str, list[dict[str, Any]]]) -> None:
    """A data set as a clone of its repository has it: parquet files that the README names."""
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    (folder / name).mkdir(parents=True)
    for split, rows in splits.items():
        Dataset.from_list(rows).to_parquet(folder / name / f"{split}.parquet")
    files = [{"split": split, "path": f"{name}/{split}.parquet"} for split in splits]
    told = yaml.safe_dump({"configs": [{"config_name": name, "data_files": files}]})
    (folder / "README.md").write_text(f"---\n{told}---\n")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with small stand-ins for both models and all data sets, by their names."""
    import datasets

    root = tmp_path_factory.mktemp("workspace")
    huginn(root / "transformers" / "huginn-0125")
    llama(root / "transformers" / "Meta-Llama-3-8B")
    sets = root / "datasets"
    items = [item(n) for n in range(28)]
    (sets / "lirefs").mkdir(parents=True)
    (sets / "lirefs" / "mmlu-pro-3000samples.json").write_text(json.dumps(items))
    clone(sets / "TIGER-Lab" / "MMLU-Pro", "data",
          {"validation": [item(n) for n in range(100, 104)], "test": items[:8]})  # fmt: skip
    rows = [{"question": i["question"], "choices": [*i["options"], "none"],
             "answer": i["answer_index"], "subject": "anatomy"} for i in items]  # fmt: skip
    clone(sets / "cais" / "mmlu", "anatomy", {"dev": rows[:3], "test": rows[3:8]})
    kept = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = root / "cache"
    logging.disable(logging.WARNING)
    yield root
    logging.disable(logging.NOTSET)
    datasets.config.HF_DATASETS_CACHE = kept


def changes(name: str) -> tuple[str, ...]:
    """The settings that make a file small."""
    tasks = {"mmlu": "mmlu_anatomy", "mmlu_pro": "mmlu_pro_math"}
    job = load_job(FILES / f"{name}.yaml")
    if job.harness is None:
        return SMALL[job.step]
    (task,) = job.harness.tasks
    return (*SMALL[job.step], f"harness.tasks=[{tasks[task]}]")


@pytest.fixture(scope="module")
def made(workspace: Path) -> Path:
    """Directions of both models and both ways of reading, made with fewer measures."""
    out = workspace / "experiments"
    for name in NAMES:
        if "candidate_directions" in name:
            run_job(FILES / f"{name}.yaml", workspace, changes(name))
    return out


@pytest.mark.parametrize("name", NAMES)
def test_every_job_runs(name: str, workspace: Path, made: Path) -> None:
    said: list[str] = []
    folder = run_job(FILES / f"{name}.yaml", workspace, changes(name), say=said.append)
    assert folder == made / name
    result = json.loads((folder / "result.json").read_text())
    assert len(result["about"]) > 50
    assert result["rows"]
    job = load_job(FILES / f"{name}.yaml")
    rows = result["rows"]
    if job.step == "directions":
        found = Directions.load(folder / "difference.safetensors")
        count = 133 if "llama" not in name else 25
        assert len(found.sites) >= count - 2
        assert {c.rpartition("@")[2] for c in found.sites} == {
            "mean" if "all_tokens" in name else "last"
        }
        assert {r["direction"] for r in rows} == {"difference", "probe", "random"}
    if job.step == "effect":
        assert {r["name"] for r in rows} == {"kl", "logit"}
        assert {r["direction"] for r in rows} == {"difference", "random"}
        assert all(r["value"] is not None and r["value"] >= 0 for r in rows)
    if job.step in ("accuracy", "harness"):
        wanted = {"plain"}
        if job.intervention is not None:
            wanted |= {"steered", "random-0", "steered-less-plain", "random-0-less-plain"}
        assert {r["arm"] for r in rows} == wanted
        assert all(r["low"] is None or r["low"] <= r["value"] <= r["high"] for r in rows)
        assert sum("takes the directions" in s for s in said) == (job.intervention is not None)
    # Again: nothing is run, nothing is changed.
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.name != ".lock"}
    again: list[str] = []
    run_job(FILES / f"{name}.yaml", workspace, changes(name), say=again.append)
    assert [s for s in again if "finished already" not in s] == []
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.name != ".lock"} == before


def test_layers_are_the_index_that_the_field_uses(workspace: Path) -> None:
    """Edge i is what the block takes in that the index i names, at its recurrence."""
    from seedbed.core.workspace import Workspace
    from seedbed.models.blocks import blocks_of
    from seedbed.models.huginn import huginn_site

    model = load_job(FILES / "mmlu_evaluate_lm_eval.yaml").subject
    blocks = blocks_of(model_of(model, Workspace(workspace), 0).model)
    chosen = (0, 1, 31, 66, 127, 129, 130, 131)
    wanted = [huginn_site(i, stream="resid_pre") for i in chosen]
    assert edges(blocks, chosen, "layers") == wanted
    assert len(edges(blocks, (), "layers")) == 133
    with pytest.raises(InputError, match="133; the model has 0 to 132"):
        edges(blocks, (133,), "layers")


def test_steering_acts_at_the_layer_of_the_file(workspace: Path, made: Path) -> None:
    """A step at layer 21 of the plain model is that direction, of length 1, where it was read."""
    from seedbed.core.workspace import Workspace
    from seedbed.studies.job_asking import arms_of
    from seedbed.studies.jobs import Place, Task

    name = "mmlu_pro_meta-llama-3-8b_evaluate_accuracy_reasoning_memorizing_with_intervention"
    needs = "mmlu_pro_meta-llama-3-8b_save_candidate_directions"
    task = Task(load_job(FILES / f"{name}.yaml"), name,
                Place(Workspace(workspace), FILES, made), print)  # fmt: skip
    arms = arms_of(task, made / needs)
    assert list(arms) == ["plain", "steered", "random-0"]
    directions = Directions.load(made / needs / "difference.safetensors")
    own = directions.vectors[directions.at("resid_pre.21@last")]
    for arm in ("steered", "random-0"):
        intervention = arms[arm]
        assert intervention is not None
        (edit,) = intervention([4, 9])
        assert getattr(edit.site, "name", edit.site) == "resid_pre.21"
        assert edit.positions.rows == (range(3, 2**31), range(8, 2**31))  # type: ignore[union-attr]
        vector = np.asarray(edit.vector)  # type: ignore[union-attr]
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
        assert (abs(float(vector @ own)) > 0.999) == (arm == "steered")


def test_an_interrupted_job_goes_on_to_the_same_end(workspace: Path, made: Path) -> None:
    name = "mmlu_evaluate_lm_eval_with_intervention_1"
    whole = run_job(FILES / f"{name}.yaml", workspace, changes(name))
    kept = {p.name: p.read_bytes() for p in whole.glob("*.json*")}
    # As if it had stopped before the last arm.
    for lost in ("result.json", "harness-random-0.json", "samples-random-0.jsonl"):
        (whole / lost).unlink()
    said: list[str] = []
    run_job(FILES / f"{name}.yaml", workspace, changes(name), say=said.append)
    assert [s for s in said if "mmlu_anatomy" in s] == [f"{name}: random-0, mmlu_anatomy"]
    assert {p.name: p.read_bytes() for p in whole.glob("*.json*")} == kept


def test_results_of_other_settings_are_never_taken(workspace: Path, made: Path) -> None:
    name = "mmlu_pro_save_candidate_directions"
    with pytest.raises(InputError, match=r"other settings \(world.threshold was 0.5, is 0.7\)"):
        run_job(FILES / f"{name}.yaml", workspace, (*changes(name), "world.threshold=0.7"))
    other = "mmlu_evaluate_lm_eval_with_intervention_1"
    with pytest.raises(InputError, match=r"candidate_directions: .*\(seed was 0, is 3\)"):
        run_job(FILES / f"{other}.yaml", workspace, (*changes(other), "seed=3", "needs=" + name),
                out=_moved(made, name))  # fmt: skip
    # Smaller batches are no other result.
    run_job(FILES / f"{name}.yaml", workspace, (*changes(name), "subject.batch=5"))


def test_results_of_other_items_are_never_taken(workspace: Path, made: Path) -> None:
    name = "mmlu_pro_save_candidate_directions"
    path = workspace / "datasets" / "lirefs" / "mmlu-pro-3000samples.json"
    kept = path.read_text()
    path.write_text(kept + "\n")
    try:
        with pytest.raises(InputError, match=r"other settings \(contents.items was"):
            run_job(FILES / f"{name}.yaml", workspace, changes(name))
    finally:
        path.write_text(kept)


def _moved(made: Path, name: str) -> Path:
    """A folder of results that holds only the job `name`."""
    place = made.parent / "others"
    shutil.copytree(made / name, place / name, dirs_exist_ok=True)
    return place


def test_directions_of_another_model_are_refused(workspace: Path, made: Path) -> None:
    """Weights that changed under the same name are seen by their digest."""
    name = "mmlu_pro_meta-llama-3-8b_save_candidate_directions"
    place = _moved(made, name)
    path = place / name / "difference.safetensors"
    directions = Directions.load(path)
    replace(directions, made={**directions.made, "model": "0" * 64}).save(path)
    job = "mmlu_pro_meta-llama-3-8b_analyze_steering_effect_per_layer"
    with pytest.raises(InputError, match="was made of another model than transformers/Meta-Llama"):
        run_job(FILES / f"{job}.yaml", workspace, changes(job), out=place)


UNFIT = {
    "step: effect": "needs: is missing",
    "step: harness": "harness: is missing",
    "step: states\nneeds: save": "the step 'states' needs no other job",
    "step: accuracy\nintervention: {layers: [1]}": "needs: is missing",
    "step: accuracy\nneeds: x\nintervention: {layers: []}": "intervention.layers",
    "step: accuracy\nneeds: x": "intervention: is missing",
    "step: effect\nneeds: x\nintervention: {layers: [1]}": "puts none in place",
    "step: look": "step",
    "step: states\nsubjct: {}": "did you mean 'subject'",
}


@pytest.mark.parametrize("text", UNFIT)
def test_unfit_files_are_told_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"subject: {{path: x}}\n{text}\n")
    with pytest.raises(ConfigError, match=UNFIT[text]) as told:
        load_job(path)
    assert str(told.value).startswith(str(path))
    assert "\n" not in str(told.value)


def test_what_a_job_needs_must_be_there(workspace: Path, tmp_path: Path) -> None:
    text = (FILES / "mmlu_evaluate_lm_eval_with_intervention_1.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="needs: there is no job file"):
        run_job(path, workspace, out=tmp_path / "out")
    with pytest.raises(ConfigError, match="did you mean 'mine'"):
        run_job(path, workspace, ("needs=mines",), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "plain.yaml").write_text((FILES / "mmlu_evaluate_lm_eval.yaml").read_text())
    with pytest.raises(ConfigError, match="needs: plain makes no directions"):
        run_job(path, workspace, ("needs=plain",), out=tmp_path / "out")
    with pytest.raises(InputError, match="'transformers/huginn-0125': not found"):
        run_job(tmp_path / "plain.yaml", tmp_path)
    with pytest.raises(InputError, match="no place for results: give --workspace"):
        run_job(tmp_path / "plain.yaml")
    with pytest.raises(InputError, match=r"subject\.device: 'moon'"):
        run_job(tmp_path / "plain.yaml", workspace, ("subject.device=moon",), tmp_path / "moon")


def test_a_job_is_built_in_python_too() -> None:
    job = Job.model_validate({"step": "states", "subject": {"path": "x"}})
    assert job.world.items.path == "facts-and-sums"
