import copy
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.measuring.conftest import TEXT

from seedbed.core.directions import Directions
from seedbed.core.errors import InputError, MissingExtra
from seedbed.measuring import harness
from seedbed.measuring.harness import Harness, evaluate
from seedbed.measuring.interventions import placed
from seedbed.measuring.likelihoods import Side, likelihoods
from seedbed.models.steered_file import write_steered
from seedbed.models.steering import Steer, edits_of
from seedbed.models.subject import Subject
from seedbed.scoring.intervals import wilson


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Data sets are prepared in a folder of the test, and lm-eval says nothing."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def items(count: int = 20) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    words = TEXT.split()

    def said(low: int, high: int) -> str:
        return " ".join(rng.choice(words, int(rng.integers(low, high))))

    return [{"q": said(3, 12), "choices": [f"{said(1, 3)} {w}" for w in "abc"],
             "gold": int(rng.integers(3))} for _ in range(count)]  # fmt: skip


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., str]:
    """Writes a task of lm-eval over a local file; returns the path of its YAML."""

    def write(name: str = "told", **changes: Any) -> str:
        data = tmp_path / "items.jsonl"
        data.write_text("".join(json.dumps(item) + "\n" for item in items()))
        mean = {"aggregation": "mean", "higher_is_better": True}
        values = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}},
            "test_split": "test",
            "fewshot_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "{{q}}",
            "doc_to_choice": "{{choices}}",
            "doc_to_target": "gold",
            "metric_list": [{"metric": "acc", **mean}, {"metric": "acc_norm", **mean}],
            "metadata": {"version": 1.0},
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**values, **changes}))
        return str(path)

    return write


def pushed(subject: Subject, size: float = 2.0, place: str = "last") -> Directions:
    """A direction at what block 1 takes in, far enough to change answers."""
    width = subject.model.config.hidden_size
    vector = np.random.default_rng(1).normal(size=(1, width))
    vector /= np.linalg.norm(vector)
    return Directions((f"resid_pre.1@{place}",), vector, np.zeros(1), np.full(1, size),
                      np.full(1, 5.0), "stored", "computed")  # fmt: skip


def theirs(subject: Subject, requests: list[Any], kind: str, **more: Any) -> list[Any]:
    """lm-eval's own model on the same weights."""
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=subject.model, tokenizer=subject.tokenizer, batch_size=4, **more)
    found: list[Any] = getattr(model, kind)(requests, disable_tqdm=True)
    return found


def requests_of(kind: str, *arguments: tuple[Any, ...]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, given, i) for i, given in enumerate(arguments)]


def ours(subject: Subject, **more: Any) -> Any:
    from seedbed.measuring.harness_model import SubjectLM

    return SubjectLM(subject, **more)


@pytest.mark.parametrize("kind", ["tied", "gpt2"])
def test_likelihoods_are_those_of_lm_evals_own_model(
    kind: str, subject_of: Callable[..., Subject]
) -> None:
    subject = subject_of(kind, batch=5)
    pairs = [(i["q"], f" {c}") for i in items() for c in i["choices"]]
    # Spaces at the end, an empty context, one continuation within another, a context too long.
    pairs += [("the output ", "of f"), ("", "a b"), ("a", " b"), ("a", " b c"),
              ("on " * 70, "a b")]  # fmt: skip
    asked = requests_of("loglikelihood", *pairs)
    # With its cache, lm-eval 0.4.13 reads "" + "a b" and "a" + " b" at the same place.
    wanted = theirs(subject, asked, "loglikelihood", logits_cache=False)
    model = ours(subject)
    found = model.loglikelihood(asked)
    assert [f[0] for f in found] == pytest.approx([w[0] for w in wanted], abs=1e-4)
    assert [f[1] for f in found] == [w[1] for w in wanted]
    assert model.cut == 1


def test_whole_texts_are_those_of_lm_evals_own_model(subject_of: Callable[..., Subject]) -> None:
    subject = subject_of("tied", batch=3)
    asked = requests_of("loglikelihood_rolling", ("the output of f",), ("a b c d e " * 30,))
    wanted = theirs(subject, asked, "loglikelihood_rolling")
    assert ours(subject).loglikelihood_rolling(asked) == pytest.approx(wanted, abs=1e-4)


def test_what_is_written_is_what_lm_evals_own_model_writes(
    subject_of: Callable[..., Subject],
) -> None:
    subject = subject_of("tied", batch=3)
    tokenizer = copy.deepcopy(subject.tokenizer)
    tokenizer.eos_token = "e"  # lm-eval's own model cannot do without one
    subject = replace(subject, tokenizer=tokenizer)
    kept = [{"until": ["reads"], "max_gen_toks": 9}, {"until": ["zzz"], "max_gen_toks": 12}]
    asked = requests_of("generate_until", *((i["q"], kept[n % 2]) for n, i in enumerate(items(9))))
    wanted = theirs(subject, asked, "generate_until")
    found = ours(subject).generate_until(asked)
    assert found == wanted
    assert len({len(text) for text in found}) > 2


def test_strength_zero_gives_the_same_rows_and_samples(
    task: Callable[..., str], subject_of: Callable[..., Subject]
) -> None:
    subject = subject_of("tied", batch=7)
    config = Harness(tasks=(task(),))
    plain = evaluate(config, subject)
    directions = pushed(subject)
    nothing = placed(Steer(strength=0.0), directions)
    assert evaluate(config, subject, nothing) == plain
    # Steps of length 0 run every hook, and change no bit either.
    idle = placed(Steer(strength=3.0), replace(directions, spread=np.zeros(1)))
    assert idle([3])
    assert evaluate(config, subject, idle) == plain
    some = evaluate(config, subject, placed(Steer(strength=3.0), directions))
    assert some.rows != plain.rows


@pytest.mark.parametrize("tokens", ["last", "all"])
def test_padding_and_batches_leave_steered_numbers_alone(
    tokens: str, subject_of: Callable[..., Subject]
) -> None:
    subject = subject_of("tied")
    pairs = [(i["q"], f" {c}") for i in items() for c in i["choices"]]
    asked = requests_of("loglikelihood", *pairs)
    steer = Steer.model_validate({"tokens": tokens, "during": "prompt", "strength": 2.0})
    intervention = placed(steer, pushed(subject))
    found = []
    sides: tuple[Side, ...] = ("right", "left")
    for padding in sides:
        for batch in (1, 16):
            model = ours(replace(subject, batch=batch), intervention=intervention, padding=padding)
            found.append([total for total, _ in model.loglikelihood(asked)])
    assert np.abs(np.array(found) - found[0]).max() < 1e-4
    plain = [total for total, _ in ours(subject).loglikelihood(asked)]
    assert np.abs(np.array(plain) - found[0]).max() > 0.5


@pytest.mark.parametrize("action", ["add", "ablate"])
def test_lm_evals_steered_model_agrees(
    action: str, task: Callable[..., str], subject_of: Callable[..., Subject], tmp_path: Path
) -> None:
    """Its own model type loads the file and finds the same, task by task and pair by pair."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.hf_steered import SteeredModel
    from lm_eval.tasks import TaskManager

    subject = subject_of("tied", batch=6)
    folder, file = tmp_path / "model", tmp_path / "steer.pt"
    subject.model.save_pretrained(folder)
    subject.tokenizer.save_pretrained(folder)
    steer = Steer.model_validate({"action": action, "tokens": "all"})
    directions = pushed(subject)
    write_steered(file, subject.model, edits_of(steer, directions))
    peer = SteeredModel(str(folder), str(file), device="cpu", batch_size=3, dtype="float32")
    pairs = [(i["q"], f" {c}") for i in items() for c in i["choices"]]
    asked = requests_of("loglikelihood", *pairs)
    wanted = [total for total, _ in peer.loglikelihood(asked, disable_tqdm=True)]
    intervention = placed(steer, directions)
    found = [total for total, _ in ours(subject, intervention=intervention).loglikelihood(asked)]
    assert found == pytest.approx(wanted, abs=1e-4)
    plain = [total for total, _ in ours(subject).loglikelihood(asked)]
    assert np.abs(np.array(plain) - wanted).max() > 0.1
    name = task()
    few = TaskManager(include_defaults=False)
    found_there = simple_evaluate(peer, tasks=[name], bootstrap_iters=0, task_manager=few)
    theirs = found_there["results"]["told"]
    rows = evaluate(Harness(tasks=(name,)), subject, intervention).rows
    assert {r.metric: r.value for r in rows} == {
        m: pytest.approx(theirs[f"{m},none"]) for m in ("acc", "acc_norm")
    }


def test_scoring_a_text_and_writing_it_steer_the_same_tokens(
    subject_of: Callable[..., Subject],
) -> None:
    subject = subject_of("tied", batch=4)
    for tokens in ("last", "all"):
        for during in ("prompt", "generated", "both"):
            steer = Steer.model_validate({"tokens": tokens, "during": during, "strength": 2.0})
            model = ours(subject, intervention=placed(steer, pushed(subject)))
            given = [(i["q"], {"until": [], "max_gen_toks": 5}) for i in items(6)]
            said = model.generate_until(requests_of("generate_until", *given))
            pairs = [(q, f" {text}") for (q, _), text in zip(given, said, strict=True)]
            found = model.loglikelihood(requests_of("loglikelihood", *pairs))
            assert [greedy for _, greedy in found] == [True] * 6, (tokens, during)


def test_rows_say_how_many_and_how_sure(
    task: Callable[..., str], subject_of: Callable[..., Subject]
) -> None:
    subject = subject_of("tied")
    found = evaluate(Harness(tasks=(task(),), limit=15), subject)
    assert [(r.task, r.metric, r.n) for r in found.rows] == [("told", "acc", 15),
                                                            ("told", "acc_norm", 15)]  # fmt: skip
    for row in found.rows:
        counted = [s.values[f"{row.metric},none"] for s in found.samples]
        assert row.value == pytest.approx(np.mean(counted))
        assert row.low is not None
        assert row.high is not None
        assert 0 <= row.low < row.value < row.high <= 1
    assert found.told["cut"] == 0
    assert evaluate(Harness(tasks=(task(),), limit=15), subject) == found


def test_few_shot_examples_stand_before_the_question(
    task: Callable[..., str], subject_of: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    from seedbed.measuring import harness_model

    seen: list[int] = []

    def counted(subject: Subject, pairs: Any, *rest: Any) -> Any:
        seen.extend(len(context) for context, _ in pairs)
        return real(subject, pairs, *rest)

    real = likelihoods
    monkeypatch.setattr(harness_model, "likelihoods", counted)
    subject = subject_of("tied", max_position_embeddings=128)
    lengths = []
    for shots in (0, 2):
        seen.clear()
        told = evaluate(Harness(tasks=(task(),), fewshot=shots), subject).told
        assert told["fewshot"] == {"told": shots}
        lengths.append(np.mean(seen))
    assert lengths[1] > 2.5 * lengths[0]


def test_what_is_wrong_is_one_clear_line(
    task: Callable[..., str], subject_of: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    import lm_eval.tasks

    subject = subject_of("tied")
    whole = harness._indexed
    mine = (str(Path(lm_eval.tasks.__file__).parent / "mmlu"),)
    # Reading all of lm-eval's tasks takes ten seconds.
    monkeypatch.setattr(harness, "_indexed", lambda folders: whole(folders or mine))
    with pytest.raises(InputError, match="no task 'mmlu_anatomi'; did you mean mmlu_anatomy"):
        evaluate(Harness(tasks=("mmlu_anatomi",)), subject)
    with pytest.raises(InputError, match=r"no such file .*lost\.yaml"):
        evaluate(Harness(tasks=("lost.yaml",)), subject)
    with pytest.raises(InputError, match="mmlu_anatomy: the task or its dataset cannot be loaded"):
        evaluate(Harness(tasks=("mmlu_anatomy",)), subject)
    with pytest.raises(InputError, match="names its own"):
        evaluate(Harness(tasks=(task(),), dataset="cais/mmlu"), subject)
    with pytest.raises(InputError, match="no chat template"):
        evaluate(Harness(tasks=(task(),), chat=True), subject)
    writes = task(
        "writes",
        output_type="generate_until",
        generation_kwargs={"max_gen_toks": 64},
        metric_list=[{"metric": "exact_match"}],
    )
    with pytest.raises(InputError, match="lets 64 tokens be written, and the model takes 64"):
        evaluate(Harness(tasks=(writes,)), subject)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"seedbed\[harness\]"):
        evaluate(Harness(tasks=(task(),)), subject)


def test_tasks_of_lm_eval_read_a_folder_instead_of_the_hub(
    subject_of: Callable[..., Subject], tmp_path: Path
) -> None:
    """A clone of a data set's repository: its README names the files of each part."""
    folder = tmp_path / "datasets" / "cais" / "mmlu"
    folder.mkdir(parents=True)
    rows = [{"question": i["q"], "choices": list("abcd"), "answer": i["gold"]} for i in items(9)]
    for split, kept in (("dev", rows[:2]), ("test", rows[2:])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in kept))
    files = [{"split": s, "path": f"{s}.jsonl"} for s in ("dev", "test")]
    parts = yaml.safe_dump({"configs": [{"config_name": "anatomy", "data_files": files}]})
    (folder / "README.md").write_text(f"---\n{parts}---\n")
    from tests.models.conftest import make_family, make_tokenizer

    tokenizer = make_tokenizer(bos=True)
    subject = Subject(make_family("llama", len(tokenizer), tied=True), tokenizer)
    config = Harness(tasks=("mmlu_anatomy",), fewshot=1, dataset=str(folder))
    found = evaluate(config, subject)
    assert [(r.task, r.metric, r.n) for r in found.rows] == [("mmlu_anatomy", "acc", 7)]
    # Its prompts are longer than this model's 64 tokens, which is told, not hidden.
    assert found.told["cut"] == 28
    assert found.told["fewshot"] == {"mmlu_anatomy": 1}


def test_a_group_counts_the_questions_of_all_its_tasks() -> None:
    found = {
        "group_subtasks": {"all": ["half", "c"], "half": ["a", "b"], "a": []},
        "results": {"a": {"acc,none": 1.0}},
        "groups": {"all": {"acc,none": 0.75, "acc_stderr,none": 0.1, "alias": "all"},
                   "half": {"acc,none": 0.9, "acc_stderr,none": 0.1}},
    }  # fmt: skip
    samples = [
        harness.Sample(task=task, id=i, values={"acc,none": value})
        for i, (task, value) in enumerate([("a", 1.0), ("b", 0.0), ("c", 1.0), ("c", 1.0)])
    ]
    rows = {r.task: r for r in harness._rows(found, samples)}
    assert {task: r.n for task, r in rows.items()} == {"a": 1, "all": 4, "half": 2}
    assert rows["all"].low == pytest.approx(wilson(3, 4)[0])
    # A mean that weighs its tasks otherwise has lm-eval's own standard error.
    assert rows["half"].low == pytest.approx(0.9 - 1.959964 * 0.1)
