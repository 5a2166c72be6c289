from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from seedbed.core.errors import ConfigError
from seedbed.studies.study import Study, load_study, parse_seeds


def test_the_resolved_form_replays(small_study: Callable[..., Path], tmp_path: Path) -> None:
    study = load_study(small_study(), ("training.steps=7",), "0-2")
    assert study.training is not None
    assert study.training.steps == 7
    assert study.seeds == (0, 1, 2)
    assert study.name == "small"
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(study.model_dump(mode="json")))
    assert load_study(path) == study


def test_chance_is_always_there_once(small_study: Callable[..., Path]) -> None:
    study = load_study(small_study(finders=["bm25", {"kind": "oracle"}]))
    assert [f.name for f in study.finders] == ["bm25", "chance"]
    study = load_study(small_study(finders=[{"kind": "chance"}, "bm25"]))
    assert [f.name for f in study.finders] == ["chance", "bm25"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"world": {"kind": "hopps"}}, "world: unknown world kind 'hopps'; did you mean 'hops'"),
        ({"finders": [{"kind": "bm52"}]}, "unknown finder kind 'bm52'; did you mean 'bm25'"),
        ({"finders": ["bm25", "bm25"]}, "two finders are called 'bm25'"),
        ({"finders": [{"kind": "bm25", "label": "labels"}]}, "'labels' names a control row"),
        (
            {"subject": {"kind": "tiny", "layer": 2}},
            "subject.layer: unknown key; did you mean 'laye",
        ),
        ({"training": {"steps": 3, "epochs": 1}}, "give either 'steps' or 'epochs'"),
        ({"training": {"steps": "x"}}, "training.steps: Input should be a valid integer"),
        ({"seeds": [1, 1]}, "the same seed stands twice"),
        ({"trainng": {}}, "trainng: unknown key; did you mean 'training'"),
    ],
)
def test_mistakes_are_one_line(
    small_study: Callable[..., Path], changes: dict[str, object], words: str
) -> None:
    path = small_study(**changes)
    with pytest.raises(ConfigError) as caught:
        load_study(path)
    message = str(caught.value)
    assert words in message
    assert message.startswith(f"{path}:")
    assert "\n" not in message


def test_a_key_inside_a_kind_is_placed_on_its_line(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("world:\n  kind: hops\n  basis: 3\nsubject: {kind: tiny}\n"
                    "training: {steps: 1}\nfinders: []\n")  # fmt: skip
    with pytest.raises(
        ConfigError, match=r"s\.yaml:3: world\.basis: unknown key; did you mean 'bas"
    ):
        load_study(path)


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1,,2"])
def test_unfit_seeds(text: str) -> None:
    with pytest.raises(ConfigError, match="--seeds"):
        parse_seeds(text)


def test_seed_lists() -> None:
    assert parse_seeds("0-2,5, 7") == [0, 1, 2, 5, 7]


def test_a_study_is_a_value(small_study: Callable[..., Path]) -> None:
    study = load_study(small_study())
    assert Study.model_validate(study.model_dump()) == study
