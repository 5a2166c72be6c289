"""The pages say what is: links resolve, commands exist, the tree names every module."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from seedbed.cli.main import app
from seedbed.runs.launch import read_launch
from seedbed.studies.jobs import load_job
from seedbed.studies.matrix import load_matrix
from seedbed.studies.study import load_study
from seedbed.studies.sweep import load_sweep

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
SWEEPS = sorted((ROOT / "studies" / "sweeps").glob("*.yaml"))
JOBS = sorted((ROOT / "studies" / "jobs").glob("*.yaml"))
MATRICES = [ROOT / "studies" / "matrix.yaml"]
SHARDS = ROOT / "studies" / "launch" / "fsdp.yaml"  # accelerate's, tried by test_sharding
LAUNCHES = sorted(set((ROOT / "studies" / "launch").glob("*.yaml")) - {SHARDS})
OTHERS = {*SWEEPS, *JOBS, *MATRICES, *LAUNCHES, SHARDS}
STUDIES = sorted(set((ROOT / "studies").rglob("*.yaml")) - OTHERS)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def _commands(page: Path) -> list[list[str]]:
    blocks = re.findall(r"```(?:sh)?\n(.*?)```", page.read_text(), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("seedbed ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_parse(page: Path) -> None:
    root = get_command(app)
    for words in _commands(page):
        command, name, rest = root, "", words[1:]
        while hasattr(command, "commands"):
            name, *rest = rest
            command = command.commands[name]
        context = command.make_context(name, list(rest), resilient_parsing=False)
        assert set(context.params) == {p.name for p in command.params if p.expose_value}, words
        for word in rest:
            if word.startswith("studies/"):
                assert (ROOT / word).exists(), word


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: str(p.relative_to(ROOT)))
def test_studies_are_valid_and_say_what_they_ask(path: Path) -> None:
    study = load_study(path)
    assert len(study.seeds) >= 3
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", SWEEPS, ids=lambda p: p.name)
def test_sweeps_are_valid_and_say_what_they_ask(path: Path) -> None:
    sweep, arms = load_sweep(path)
    assert sweep.name == path.stem
    assert len({study.name for _, study in arms}) == len(arms) >= 3
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", MATRICES, ids=lambda p: p.name)
def test_matrices_are_valid_and_say_what_they_ask(path: Path) -> None:
    for size in ("smoke", "full"):
        assert len(load_matrix(path, size).studies) >= 2
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", LAUNCHES, ids=lambda p: p.name)
def test_launch_files_are_valid_and_say_what_for(path: Path) -> None:
    assert read_launch(None, path).on.partition(":")[0] == path.stem
    assert path.read_text().startswith("# ")


def test_jobs_are_valid_and_the_page_lists_exactly_those() -> None:
    page = (ROOT / "docs" / "jobs.md").read_text()
    listed = re.findall(r"^\| `([\w.-]+)` \|", page, flags=re.MULTILINE)
    assert sorted(listed) == [path.stem for path in JOBS]
    for path in JOBS:
        load_job(path)
        assert path.read_text().startswith("# ")


def test_the_tree_is_up_to_date() -> None:
    code = "import sys; sys.path.insert(0, 'docs'); import write_results as w; print(w.tree())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() in (ROOT / "README.md").read_text()
