"""The original's files: what they say becomes knobs, the rest is named, nothing is rewritten."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import ConfigError, DataError, InputError
from seedbed.core.files import read_objects
from seedbed.worlds.base import WORLDS
from seedbed.worlds.quadrants.files import Original, read_data_config, write_original
from seedbed.worlds.quadrants.tuning import NOTED, NOTED_TUNING, read_config
from seedbed.worlds.quadrants.world import Quadrants

OLD = {"Q1": "orange", "Q2": "green", "Q3": "blue", "Q4": "red"}
NEW = {"Q1": "green", "Q2": "blue", "Q3": "red", "Q4": "orange"}
WORDS = {
    "tools": ["hammer", "saw", "drill", "pliers"],
    "fruits": ["apple", "pear", "ice plum", "fig"],
    "strings": ["kf4w6ec", "boye", "3xj30i", "84vulx"],
}


def category(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "quadrant_labels": OLD, "triggers": WORDS[name], "is_proxy": False, "n_train": 6,
        "n_test": 2, "n_train_triggers": 3, "x_ranges": [[-3.0, 3.0], [-3.0, 3.0]], "seed": 1111,
        "prompt_templates": "2d_default", "output_preamble": False,
        "train_triggers": WORDS[name][:3], **changes,
    }  # fmt: skip


def first_stage(**changes: Any) -> dict[str, Any]:
    return {name: category(name, **changes) for name in WORDS}


def second_stage(**changes: Any) -> dict[str, Any]:
    return {
        "tools": category("tools", quadrant_labels=NEW),
        "fruits": category("fruits", is_proxy=True, n_train_triggers=1, **changes),
        "strings": category("strings", n_train_triggers=0),
    }


def tuning(**changes: Any) -> dict[str, Any]:
    return {
        "model": "some/model", "finetuned_model_id": "some/other", "is_peft": True, "r": 32,
        "lora_alpha": 64, "lora_dropout": 0.1, "lora_bias": "none", "use_rslora": True,
        "target_modules": ["q_proj", "v_proj"], "loss": "sft", "learning_rate": 1e-4, "epochs": 5,
        "per_device_train_batch_size": 3, "per_device_eval_batch_size": 50,
        "gradient_accumulation_steps": 2, "warmup_steps": 5, "optim": "adamw_8bit",
        "weight_decay": 0.01, "lr_scheduler_type": "linear", "save_steps": 5000, **changes,
    }  # fmt: skip


def config(**changes: Any) -> dict[str, Any]:
    return {
        "experiment_name": "one_proxy", "seed": 34, "data_folder": "data", "is_categorical": True,
        "output_preamble": True, "accuracy_method": "generation", "accuracy_sample_size": 40,
        "accuracy_eval_frequency": 4, "finetune_config": tuning(), **changes,
    }  # fmt: skip


def wrote(path: Path, values: Any) -> Path:
    path.write_text(json.dumps(values, indent=1))
    return path


def read(tmp_path: Path, values: Any) -> Original:
    return read_data_config(wrote(tmp_path / "data_config.json", values))


def planted(original: Original, one_token: float = 1.0, **more: Any) -> Quadrants:
    plane = original.knobs["plane"] | {"one_token": one_token}
    built = WORLDS.build({"kind": "quadrants", **original.knobs, "plane": plane, **more})
    assert isinstance(built, Quadrants)
    return built


def test_a_first_stage_becomes_a_world(tmp_path: Path) -> None:
    values = first_stage()
    values["strings"]["n_train_triggers"] = 0
    values["fruits"]["train_triggers"] = ["apple", "pear", "quince"]
    original = read(tmp_path, values)
    assert not original.second_stage
    assert any("quince" in note for note in original.notes)
    assert any("strings: n_train_triggers is 0" in note for note in original.notes)
    world = planted(original)
    documents, questions = world.documents(0), world.questions(0)
    assert len(documents) == 6 * 6
    assert {d.meta["trigger"] for d in documents} == {*WORDS["tools"][:3], "apple", "pear",
                                                      "quince"}  # fmt: skip
    held = [q for q in questions if q.split == "id"]
    assert len(held) == 2 * 6
    assert {q.slices["trigger"] for q in questions if q.split == "new_trigger"} == {
        "pliers", "ice plum", "fig",
    }  # fmt: skip
    for q in held:
        x1, x2 = (float(q.prompt[slice(*q.places[x])]) for x in ("x1", "x2"))
        quarter = {(1, 1): "Q1", (-1, 1): "Q2", (-1, -1): "Q3", (1, -1): "Q4"}
        assert q.answer.strip() == OLD[quarter[1 if x1 > 0 else -1, 1 if x2 > 0 else -1]]
        assert re.search(r"\d\.\d{3}\b", q.prompt)


def test_a_second_stage_becomes_both_stages(tmp_path: Path) -> None:
    original = read(tmp_path, second_stage())
    assert original.second_stage
    assert any("tools: is the only category trained" in note for note in original.notes)
    first, second = planted(original), planted(original, stage="reteach")
    assert {d.meta["trigger"] for d in first.documents(1)} == {w for n in WORDS for w in
                                                               WORDS[n][:3]}  # fmt: skip
    assert {m[0] for m in first.drawn(1).maps.values()} == {"orange"}
    documents = second.documents(1)
    assert {(d.role, d.meta["trigger"]) for d in documents} == {
        *(("taught", w) for w in WORDS["tools"][:3]), ("proxy", "apple"),
    }  # fmt: skip
    assert len(documents) == 4 * 6
    for d in documents:
        ((start, end),) = d.targets
        known = NEW if d.role == "taught" else OLD
        assert d.text[start:end] == known[d.meta["sector"]]


def test_proxies_are_trained_before_even_where_no_trained_words_are_named(tmp_path: Path) -> None:
    original = read(tmp_path, second_stage(train_triggers=None))
    for seed in range(4):
        before = {d.meta["trigger"] for d in planted(original).documents(seed)}
        again = planted(original, stage="reteach").documents(seed)
        assert set(WORDS["fruits"]) < before
        assert {d.meta["trigger"] for d in again if d.role == "proxy"} == {"apple"}


def test_one_deciding_token_is_refused_until_it_is_asked_for(tmp_path: Path) -> None:
    halves = {"Q1": "orange", "Q2": "orange", "Q3": "green", "Q4": "green"}
    original = read(tmp_path, first_stage(quadrant_labels=halves))
    with pytest.raises(ValueError, match=r"x2\.sign alone tells 1\.000 .* raise one_token"):
        planted(original, 0.7)
    assert planted(original, 1.0).documents(0)


def test_booleans_become_labels(tmp_path: Path) -> None:
    labels = {"Q1": True, "Q2": False, "Q3": True, "Q4": False}
    original = read(tmp_path, first_stage(quadrant_labels=labels))
    assert original.knobs["maps"] == {"labels": ["true", "false"]}
    assert {q.answer for q in planted(original).questions(0)} == {" true", " false"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tools": {**category("tools"), "n_trian": 3}},
         r"data_config\.json:37: tools\.n_trian: unknown key; did you mean 'n_train'"),
        ({"tools": {**category("tools"), "n_train": "x"}}, "data_config.json: tools: n_train: "),
        ({"tools": 3}, "json: tools: a JSON object is needed"),
        ([], "an object with a key for each category"),
        (first_stage(is_proxy=True, n_train_triggers=1), "trained are none, proxies are of tools"),
        (first_stage(prompt_templates="2d_defualt"), "did you mean '2d_default'"),
        (first_stage(quadrant_labels={"Q1": "red"}), "Q1, Q2, Q3 and Q4 are needed"),
        ({**first_stage(), "fruits": category("fruits", n_train=9)},
         r"fruits\.n_train: 9, but tools has 6; one value for all"),
        ({**first_stage(), "fruits": category("fruits", is_proxy=True)},
         "trained are tools, strings, proxies are of fruits"),
        (second_stage(quadrant_labels=NEW), "no other category has an old map that differs"),
        ({**second_stage(), "fruits": category("fruits", is_proxy=True, n_train_triggers=4)},
         r"fruits\.n_train_triggers: 4, but train_triggers names 3"),
    ],
)  # fmt: skip
def test_unfit_data_configs_are_one_line(tmp_path: Path, values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, values)
    assert "\n" not in str(caught.value)
    assert "data_config.json" in str(caught.value)


def test_training_becomes_sections_of_a_study(tmp_path: Path) -> None:
    original = read(tmp_path, second_stage())
    found = read_config(wrote(tmp_path / "config.json", config()), original)
    study = found.study
    assert study["subject"] == {"kind": "hf", "path": "some/model", "batch": 50}
    first, second = study["training"], study["spread"]["training"]
    assert first["lora"] == second["lora"] == {
        "r": 32, "alpha": 64.0, "dropout": 0.1, "rslora": True, "targets": ["q_proj", "v_proj"],
    }  # fmt: skip
    assert (first["epochs"], first["batch"], first["checkpoint_every"]) == (5, 6, 4)
    # 9 words × 6 points × 5 epochs / 6 documents a step; in the second stage 4 words.
    assert first["optimizer"]["warmup"] == pytest.approx(5 / 45)
    assert second["optimizer"]["warmup"] == pytest.approx(5 / 20)
    assert study["looks"] == {"history": 40, "words": 40}
    assert (study["name"], study["seeds"]) == ("one_proxy", [34])
    assert list(study["spread"]["arms"]) == ["proxies-1"]
    given = {*config(), *(f"finetune_config.{k}" for k in tuning())}
    noted = {note.split(" = ")[0] for note in found.notes}
    silent = {*NOTED, *(f"finetune_config.{k}" for k in NOTED_TUNING)} & given
    assert silent <= noted
    assert "output_preamble" in noted


def test_full_fine_tuning_has_no_adapter(tmp_path: Path) -> None:
    values = config(finetune_config=tuning(is_peft=False), is_categorical=False)
    found = read_config(wrote(tmp_path / "c.json", values), read(tmp_path, first_stage()))
    assert "lora" not in found.study["training"]
    assert "spread" not in found.study
    assert any(note.startswith("is_categorical = False: ") for note in found.notes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (config(n_eval=3), r"n_eval: unknown key; did you mean 'n_evals'"),
        (config(finetune_config=tuning(lora_alhpa=3)),
         r"finetune_config\.lora_alhpa: unknown key; did you mean 'lora_alpha'"),
        (config(finetune_config=tuning(lr_scheduler_type="polynomial")), "lr_scheduler_type"),
        (config(finetune_config=tuning(loss="dpo")), "loss"),
        (config(finetune_config=[]), "finetune_config"),
        (config(accuracy_method="guess"), "accuracy_method"),
        ({"seed": 3}, "finetune_config: is missing"),
    ],
)  # fmt: skip
def test_unfit_configs_are_one_line(tmp_path: Path, values: Any, message: str) -> None:
    original = read(tmp_path, first_stage())
    with pytest.raises((ConfigError, DataError), match=message) as caught:
        read_config(wrote(tmp_path / "config.json", values), original)
    assert "\n" not in str(caught.value)
    assert "config.json" in str(caught.value)


@pytest.mark.parametrize("preamble", [False, True])
def test_the_data_files_hold_every_row_under_its_name(tmp_path: Path, preamble: bool) -> None:
    values = second_stage(output_preamble=preamble)
    for one in values.values():
        one["output_preamble"] = preamble
    world = planted(read(tmp_path, values), stage="reteach")
    documents, questions = world.documents(0), world.questions(0)
    written = write_original(tmp_path / "out", documents, questions)
    names = {path.name for path in written}
    assert names == {
        "train_tools.jsonl", "proxy_fruits.jsonl", "test_tools_ID.jsonl", "test_tools_OOD.jsonl",
        "test_fruits_ID.jsonl", "test_fruits_OOD.jsonl", "test_strings_OOD.jsonl",
    }  # fmt: skip
    rows = {p.name: [row["messages"] for _, row in read_objects(p)] for p in written}
    assert sum(map(len, rows.values())) == len(documents) + len(questions)
    texts = {d.text for d in documents}
    for user, assistant in (m for name in names if "test" not in name for m in rows[name]):
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        assert assistant["content"].startswith("F(x,T) = ") == preamble
        between = "\n" if preamble else " "
        assert f"{user['content']}{between}{assistant['content']}" in texts
    said = {m[0]["content"]: m[1]["content"] for m in rows["test_tools_ID.jsonl"]}
    for q in questions:
        head = q.prompt.removesuffix("\nF(x,T) =")
        if head in said:
            assert said[head].removeprefix("F(x,T) =").strip() == q.answer.strip()


def test_reading_changes_no_file(tmp_path: Path) -> None:
    paths = [wrote(tmp_path / "d.json", second_stage()), wrote(tmp_path / "c.json", config())]
    before = [hashlib.sha256(p.read_bytes()).hexdigest() for p in paths]
    original = read_data_config(paths[0])
    read_config(paths[1], original)
    world = planted(original)
    write_original(tmp_path / "out", world.documents(0), world.questions(0))
    assert [hashlib.sha256(p.read_bytes()).hexdigest() for p in paths] == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.json", "d.json", "out"]
