"""The config.json of the 2-D trigger experiment as sections of a study: subject, training, looks.

Every key of the file is used or named in the notes with the reason.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from seedbed.core.config import Config
from seedbed.core.files import read_json
from seedbed.worlds.quadrants.files import Original, read_form, size

HUB = "nothing is pushed by training; the command that runs the study can"
SAVING = "checkpoints are kept by the run folder"
SPEED = "changes speed or memory there, no result"
PRINTING = "how often the original prints"
NOTED = {
    "data_folder": "rows are written to the run folder",
    "dataset_format": "rows are always JSONL",
    "max_dataset_size": "every training row is used",
    "train_split": "training and test points never meet here",
    "n_evals": "see looks.history and training.checkpoint_every",
    "evaluation_sample_size": "all questions are answered at the end",
    "use_fast_accuracy": "one scorer, tested",
    "train_accuracy_eval_frequency": "questions of split train are measured at the end",
    "train_accuracy_sample_size": "questions of split train are measured at the end",
}
NOTED_TUNING = {
    "finetuned_model_id": HUB,
    "attn_implementation": SPEED,
    "lora_bias": "biases stay as they are",
    "optim": "AdamW in 32 bits",
    "logging_steps": PRINTING,
    "max_to_eval": "all questions are answered",
    "use_gradient_checkpointing": SPEED,
    "save_adapter_weights": "the adapter is saved with the subject",
    "merge_before_push": HUB,
    "push_to_private": HUB,
    "output_dir": "the run folder",
    "save_steps": SAVING,
    "save_checkpoints_locally": SAVING,
    "save_checkpoints_to_hub": HUB,
    "checkpoint_frequency": SAVING,
    "max_checkpoints_to_keep": SAVING,
    "merge_for_checkpoint": SAVING,
}
BETAS, CLIP = (0.9, 0.999), 1.0
"""What transformers' trainer does where a file says nothing."""


class ConfigForm(Config):
    """The keys of a config.json that mean something here."""

    experiment_name: str = "original"
    seed: int = 42
    is_categorical: bool = True
    output_preamble: bool | None = None
    accuracy_method: Literal["generation", "logits"] = "logits"
    accuracy_sample_size: int = Field(default=0, ge=0)
    accuracy_eval_frequency: int = Field(default=0, ge=0)
    finetune_config: dict[str, Any]


class AdapterForm(Config):
    """Its keys about LoRA."""

    is_peft: bool = True
    r: int = Field(default=8, ge=1)
    lora_alpha: float = Field(default=16, gt=0)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    use_rslora: bool = False
    target_modules: tuple[str, ...] = ()


class TuningForm(Config):
    """Its keys about the optimiser."""

    model: str
    loss: Literal["sft"] = "sft"
    learning_rate: float = Field(gt=0)
    epochs: float = Field(gt=0)
    per_device_train_batch_size: int = Field(ge=1)
    per_device_eval_batch_size: int = Field(default=32, ge=1)
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    warmup_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = "linear"


@dataclass(frozen=True)
class Sections:
    """A study as plain values, ready for YAML, and notes for the reader."""

    study: dict[str, Any]
    notes: tuple[str, ...]


def read_config(path: Path, original: Original) -> Sections:
    """A study of the data config's world, trained as config.json says.

    Of a second-stage file both stages are trained alike, the second under `spread`. Raises
    DataError for unknown keys, ConfigError for unfit values.
    """
    values = read_json(path)
    form = read_form(path, ConfigForm, values, known=tuple(NOTED))
    inner = form.finetune_config
    fields = (*AdapterForm.model_fields, *TuningForm.model_fields, *NOTED_TUNING)
    known = [k for k in fields if k not in AdapterForm.model_fields]
    where = "finetune_config."
    adapter = read_form(path, AdapterForm, inner, where, known)
    known = [k for k in fields if k not in TuningForm.model_fields]
    tuning = read_form(path, TuningForm, inner, where, known)
    notes = [f"{k} = {values[k]!r}: {why}" for k, why in NOTED.items() if k in values]
    notes += [f"{where}{k} = {inner[k]!r}: {why}" for k, why in NOTED_TUNING.items() if k in inner]
    notes.append("finetune_config.loss = 'sft': there over the whole chat, here over the label")
    notes += _disagreements(form, original)
    knobs = original.knobs
    words = knobs["words"]
    taught = sum(
        size(c["trained"]) for n, c in words["categories"].items() if n not in words["withheld"]
    )
    sample = form.accuracy_sample_size
    every = form.accuracy_eval_frequency
    study: dict[str, Any] = {
        "name": form.experiment_name,
        "world": {"kind": "quadrants", **knobs},
        "subject": {"kind": "hf", "path": tuning.model,
                    "batch": tuning.per_device_eval_batch_size},
        "training": _training(tuning, adapter, taught * knobs["texts"]["points"]),
    }  # fmt: skip
    study["training"]["checkpoint_every"] = every
    if original.second_stage:
        again = knobs["reteach"]
        own = size(words["categories"][again["category"]]["trained"])
        lines = own * again["points"] + again["proxies"] * again.get("proxy_points", 0)
        study["spread"] = {
            "arms": {f"proxies-{again['proxies']}": {}},
            "training": _training(tuning, adapter, lines),
        }
        notes.append(
            f"finetune_config.model = {tuning.model!r}: where that model has had the first stage"
            " already, take its own base model as subject.path"
        )
    study["finders"] = [{"kind": "ablation"}]
    study["looks"] = {
        "history": sample if every else 0,
        "words": sample if form.accuracy_method == "generation" else 0,
    }
    study["seeds"] = [form.seed]
    notes.append(f"seed = {form.seed}: one seed gives no interval; run with --seeds")
    return Sections(study, (*original.notes, *notes))


def _training(tuning: TuningForm, adapter: AdapterForm, documents: int) -> dict[str, Any]:
    batch = tuning.per_device_train_batch_size * tuning.gradient_accumulation_steps
    steps = max(1, round(tuning.epochs * documents / batch))
    found: dict[str, Any] = {
        "epochs": tuning.epochs,
        "batch": batch,
        "loss": "answer",
        "optimizer": {
            "lr": tuning.learning_rate,
            "weight_decay": tuning.weight_decay,
            "betas": list(BETAS),
            "clip": CLIP,
            "warmup": min(0.99, tuning.warmup_steps / steps),
            "schedule": tuning.lr_scheduler_type,
        },
    }
    if adapter.is_peft:
        found["lora"] = {
            "r": adapter.r,
            "alpha": adapter.lora_alpha,
            "dropout": adapter.lora_dropout,
            "rslora": adapter.use_rslora,
            "targets": list(adapter.target_modules),
        }
    return found


def _disagreements(form: ConfigForm, original: Original) -> list[str]:
    """Where the two files say different things; the data config is what rows are made from."""
    found = []
    written = original.knobs["texts"]["preamble"]
    if form.output_preamble is not None and form.output_preamble != written:
        found.append(
            f"output_preamble = {form.output_preamble}: the data config says {written}, which holds"
        )
    boolean = set(original.knobs["maps"]["labels"]) <= {"true", "false"}
    if form.is_categorical == boolean:
        found.append(
            f"is_categorical = {form.is_categorical}: the data config's labels are"
            f" {', '.join(original.knobs['maps']['labels'])}, which hold"
        )
    return found
