from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from seedbed.core.errors import ConfigError
from seedbed.core.files import read_json, write_json
from seedbed.runs.launch import Launch
from seedbed.studies.many import Job
from seedbed.studies.matrix import gaps, load_matrix, run_matrix
from seedbed.studies.study import load_study


@pytest.fixture
def matrix_file(small_study: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    study = small_study(seeds=[0], finders=[{"kind": "bm25"}], training={"steps": 1, "batch": 18})

    def write(**changes: Any) -> Path:
        sizes = {"smoke": {"colours": study.name, "again": study.name}, "full": {"c": study.name}}
        path = tmp_path / "matrix.yaml"
        path.write_text(yaml.safe_dump({"sizes": sizes, **changes}, sort_keys=False))
        return path

    return write


def test_every_study_of_a_size_has_its_folder_and_matrix_json_tells_how_it_ended(
    matrix_file: Callable[..., Path], tmp_path: Path
) -> None:
    sized = load_matrix(matrix_file(name="all"), seeds="4")
    assert (sized.name, sized.size, list(sized.studies)) == ("all", "smoke", ["colours", "again"])
    folder, ended, missing = run_matrix(sized, tmp_path / "out", Launch(workers=1))
    told = read_json(folder / "matrix.json")
    assert [row["run"] for row in told["studies"]] == ["colours", "again"]
    assert all("not learned" in row["stopped"] for row in told["studies"])
    assert told["seconds"] >= sum(row["seconds"] for row in told["studies"])
    assert (told["missing"], missing) == ([], [])
    assert [e.job.folder for e in ended] == [folder / "colours", folder / "again"]
    assert {r["seed"] for r in read_json(folder / "again" / "gate.json")} == {4}
    assert len([p for p in (folder / ".store").glob("train-*") if p.is_dir()]) == 1


@pytest.mark.parametrize(
    ("changes", "size", "message"),
    [
        ({}, "smok", "--size smok: .*no such size; did you mean 'smoke'"),
        ({}, "x", "there are: smoke, full"),
        ({"size": {}}, None, "size: unknown key; did you mean 'sizes'"),
        ({"sizes": {}}, None, "sizes: "),
        ({"sizes": {"s": {}}}, None, "s: names no study"),
        ({"sizes": {"s": {"a/b": "small.yaml"}}}, None, "'a/b' must consist of"),
        ({"sizes": {"s": {"a": "smal.yaml"}}}, None, r"sizes\.s\.a: .*did you mean .*small\.yaml"),
        ({"sizes": {"s": {"a": "matrix.yaml"}}}, None, "this is a matrix file"),
        ({"sizes": {"s": ["small.yaml"]}}, None, r"sizes\.s: "),
    ],
)
def test_mistakes_are_one_line(
    changes: dict[str, Any], size: str | None, message: str, matrix_file: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_matrix(matrix_file(**changes), size)


def test_other_files_are_named_as_what_they_are(
    matrix_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = matrix_file()
    with pytest.raises(ConfigError, match="this is a matrix file; run it with: seedbed matrix"):
        load_study(path)
    with pytest.raises(ConfigError, match="this is a study file; run it with: seedbed run"):
        load_matrix(tmp_path / "small.yaml")
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("study: small.yaml\nvary: {questions: [4, 5]}\n")
    with pytest.raises(ConfigError, match="this is a sweep file; run it with: seedbed sweep"):
        load_study(sweep)


def test_a_kind_of_site_without_a_score_is_a_gap(tmp_path: Path) -> None:
    study = load_study(Path(__file__).parents[2] / "studies" / "smoke" / "hops.yaml")
    kinds = [str(k) for k in study.world.crossings]
    assert len(kinds) >= 2
    row = {"finder": "bm25"}
    write_json(tmp_path / "scores.json", [row])
    write_json(tmp_path / "missing.json", [])
    job = Job(study.model_copy(update={"finders": ()}), tmp_path, "hops")
    assert {(g.sites, g.reason) for g in gaps(job)} == {
        (k, f"the study lists no finder of {k}s") for k in kinds
    }
    crossed = [{"sites": k, "scores": [row], "reason": ""} for k in kinds]
    write_json(tmp_path / "crossed.json", crossed)
    assert gaps(job) == []
    crossed[0] = {"sites": kinds[0], "scores": [], "reason": "no question passed"}
    crossed[1] = {"sites": kinds[1], "scores": [{"finder": "chance"}], "reason": ""}
    write_json(tmp_path / "crossed.json", crossed)
    assert [(g.study, g.sites, g.reason) for g in gaps(job)] == [
        ("hops", kinds[0], "no question passed"),
        ("hops", kinds[1], "no finder was scored"),
    ]
    write_json(tmp_path / "scores.json", [{"finder": "oracle"}])
    assert gaps(job)[0].sites == "document"
