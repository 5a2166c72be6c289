from pathlib import Path

import pytest

from seedbed.core.errors import InputError
from seedbed.core.workspace import Workspace, hub_cache


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "hub"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("transformers/huginn-0125", "transformers/meta-llama/Llama-3-8B",
                 "datasets/cais/mmlu", "datasets/lirefs"):  # fmt: skip
        (tmp_path / "ws" / name).mkdir(parents=True)
    (tmp_path / "ws/datasets/lirefs/items.json").write_text("[]")
    return tmp_path / "ws"


def keep(cache: Path, folder: str, commit: str, main: str | None = None) -> Path:
    place = cache / folder / "snapshots" / commit
    place.mkdir(parents=True)
    if main:
        (cache / folder / "refs").mkdir(exist_ok=True)
        (cache / folder / "refs/main").write_text(main)
    return place


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("huginn-0125", "huginn-0125"),
        ("transformers/huginn-0125", "huginn-0125"),
        ("tomg-group-umd/huginn-0125", "huginn-0125"),
        ("meta-llama/Llama-3-8B", "meta-llama/Llama-3-8B"),
    ],
)
def test_models_of_a_workspace_by_every_name(root: Path, name: str, found: str) -> None:
    assert Workspace(root).model(name) == root / "transformers" / found


@pytest.mark.parametrize("name", ["cais/mmlu", "datasets/cais/mmlu", "lirefs", "lirefs/items.json"])
def test_datasets_are_folders_or_files(root: Path, name: str) -> None:
    assert Workspace(root).dataset(name) == root / "datasets" / name.removeprefix("datasets/")


def test_experiments_need_not_exist(root: Path) -> None:
    assert Workspace(root).experiments == root / "experiments"
    with pytest.raises(InputError, match="workspace folder is needed"):
        _ = Workspace().experiments


def test_a_path_goes_first(root: Path, tmp_path: Path) -> None:
    (tmp_path / "huginn-0125").mkdir()
    assert Workspace(root).model("huginn-0125") == Path("huginn-0125")


def test_a_model_is_no_file(root: Path) -> None:
    (root / "transformers/weights").write_text("")
    with pytest.raises(InputError, match="not found"):
        Workspace(root).model("weights")


def test_the_cache_gives_what_main_points_at(cache: Path) -> None:
    keep(cache, "models--org--net", "old")
    wanted = keep(cache, "models--org--net", "new", main="new")
    assert Workspace().model("org/net") == wanted
    assert Workspace().model("net") == wanted


def test_the_workspace_goes_before_the_cache(root: Path, cache: Path) -> None:
    keep(cache, "models--a--huginn-0125", "x")
    assert Workspace(root).model("a/huginn-0125") == root / "transformers/huginn-0125"


def test_several_owners_or_snapshots_are_not_guessed_at(cache: Path) -> None:
    keep(cache, "datasets--a--set", "x")
    keep(cache, "datasets--b--set", "y")
    with pytest.raises(InputError, match="several: a/set, b/set"):
        Workspace().dataset("set")
    keep(cache, "datasets--a--set", "z")
    with pytest.raises(InputError, match="2 snapshots"):
        Workspace().dataset("a/set")


def test_what_is_missing_is_told_with_places_and_the_nearest(root: Path, cache: Path) -> None:
    with pytest.raises(InputError) as told:
        Workspace(root).model("hugin-0125")
    text = str(told.value)
    assert "\n" not in text
    assert "did you mean 'huginn-0125'" in text
    assert str(root / "transformers/hugin-0125") in text
    assert str(cache) in text
    keep(cache, "datasets--cais--mmlu_pro", "x")
    with pytest.raises(InputError, match="did you mean 'cais/mmlu_pro'"):
        Workspace().dataset("cais/mmlu-pr")


def test_a_root_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        Workspace(tmp_path / "nowhere")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert hub_cache() == tmp_path / "hub"
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert hub_cache() == tmp_path / "home" / "hub"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert hub_cache() == Path("~/.cache/huggingface/hub").expanduser()


def test_the_hub_library_agrees_about_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    for name, value in (("HF_HUB_CACHE", "/a/b"), ("HF_HOME", "/c"), ("XDG_CACHE_HOME", "/d")):
        for other in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(other, raising=False)
        monkeypatch.setenv(name, value)
        code = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
        said = subprocess.check_output([sys.executable, "-c", code], text=True)
        assert said.strip() == str(hub_cache())
