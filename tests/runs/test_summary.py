import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.runs.made import write_run

from seedbed.core.files import read_json, write_json
from seedbed.runs.summary import Kinds, digest_of, is_sweep, read_summary
from seedbed.studies.plan import study_digest
from seedbed.studies.study import load_study

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def test_a_finished_run_in_short(run: Path) -> None:
    found = read_summary(run)
    assert (found.state, found.reason, found.study) == ("finished", "", "small")
    assert (found.world, found.sites, found.subject, found.seeds) == (
        "hops", "document", "tiny", (0, 1))  # fmt: skip
    assert found.missing == (("trak", "trak is not installed"),)
    assert found.lacking == (("cell", "no position of a text is a cause"),)
    assert found.bytes == sum(p.stat().st_size for p in run.rglob("*") if p.is_file())
    rows = [r for r in read_json(run / "scores.json") if r["slice"] == "all"]
    assert [(line.finder, line.metric, line.value) for line in found.lines] == [
        (r["finder"], r["metric"], r["value"]) for r in rows
    ]
    kinds = {line.finder: line.kind for line in found.lines}
    assert kinds == {
        "bm25": "bm25", "gradients-dot": "gradients", "gradients-cosine": "gradients",
        "chance": "chance", "oracle": "oracle",
    }  # fmt: skip


def test_the_digest_is_the_studys_whatever_its_name(tmp_path: Path) -> None:
    study = load_study(ROOT / "studies" / "hops.yaml", ("training.optimizer.lr=1e-5",))
    plain = study.model_dump(mode="json")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False))
    (tmp_path / "seeds").mkdir()
    assert digest_of(plain) == read_summary(tmp_path).digest == study_digest(study)
    assert digest_of({**plain, "name": "other"}) == study_digest(study)


def test_lines_of_other_sites_come_from_their_own_files(run: Path) -> None:
    rows = read_json(run / "scores.json")
    write_json(run / "attribution.json", {"scores": rows, "replays": []})
    crossed = [
        {"sites": "cell", "meaning": "m", "asked": 12, "scores": rows, "reason": ""},
        {"sites": "direction", "meaning": "", "asked": 0, "scores": [], "reason": "no classes"},
    ]
    write_json(run / "crossed.json", crossed)
    found = read_summary(run)
    count = sum(r["slice"] == "all" for r in rows)
    assert [line.sites for line in found.lines] == ["document"] * 2 * count + ["cell"] * count
    assert dict(found.lacking)["direction"] == "no classes"


def test_a_run_that_stopped_at_the_gate_says_why(run: Path) -> None:
    told = read_json(run / "manifest.json")
    write_json(run / "manifest.json", {**told, "stopped": "not learned"})
    (run / "scores.json").unlink()
    found = read_summary(run)
    assert (found.state, found.reason, found.lines) == ("stopped", "not learned", ())


def test_an_unfinished_run_says_how_it_goes_on(run: Path) -> None:
    (run / "manifest.json").unlink()
    found = read_summary(run)
    assert found.state == "unfinished"
    assert f"seedbed run {run / 'config.yaml'}" in found.reason
    assert (found.sites, found.started[:2]) == ("document", "20")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def _bytes(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def _deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def _other(path: Path) -> None:
    path.write_text("3")


def _rows(path: Path) -> None:
    path.write_text("[3]")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [_cut, _bytes, _deep, _other, _rows, _folder])
@pytest.mark.parametrize("name", ["scores.json", "gate.json", "missing.json", "manifest.json"])
def test_damage_names_the_file(run: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(run / name)
    found = read_summary(run)
    if name == "gate.json" and damage is _cut:
        assert found.state == "finished"  # it is that short
        return
    if name == "missing.json" and damage is _cut:
        return
    assert (found.state, found.reason[: len(name)]) == ("damaged", name)


@pytest.mark.parametrize(
    ("key", "value"), [("value", "high"), ("low", float("nan")), ("chance", True), ("finder", 3)]
)
def test_a_row_of_another_form_is_damage(run: Path, key: str, value: object) -> None:
    rows = read_json(run / "scores.json")
    rows[0][key] = value
    (run / "scores.json").write_text(json.dumps(rows))
    found = read_summary(run)
    assert (found.state, found.reason[:18]) == ("damaged", "scores.json: row 1")


def test_rows_of_a_later_version_with_further_keys_are_read(run: Path) -> None:
    rows = read_json(run / "scores.json")
    write_json(run / "scores.json", [{**row, "further": 1} for row in rows])
    assert read_summary(run).state == "finished"


@pytest.mark.parametrize("text", ["a: [", "3", "", "world: hops", "seeds: x"])
def test_a_config_that_is_none_is_damage(run: Path, text: str) -> None:
    (run / "config.yaml").write_text(text)
    found = read_summary(run)
    assert (found.state, found.reason[:11]) == ("damaged", "config.yaml")
    assert not is_sweep(run)


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    assert read_summary(tmp_path / "nowhere").state == "damaged"
    (tmp_path / "config.yaml").write_text("name: s\nvary:\n  a: [1, 2]\n")
    assert is_sweep(tmp_path)
    assert "sweep" in read_summary(tmp_path).reason


def test_kinds_follow_the_longest_label_then_the_measure() -> None:
    kinds = Kinds(
        [
            {"kind": "gradients", "label": ""},
            {"kind": "ekfac", "label": "gradients-curved"},
            {"kind": "directions", "label": "", "measure": ["probe", "random"]},
        ]
    )
    names = ("gradients-dot", "gradients-curved-0.1", "probe", "oracle", "strange")
    assert [kinds.of(n) for n in names] == ["gradients", "ekfac", "directions", "oracle", "strange"]


def test_texts_and_numbers_that_fit_no_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "missing.json").write_text(r'[{"finder": "\ud800", "reason": "x"}]')
    assert read_summary(run).reason.startswith("missing.json: a text in it is no Unicode")
    (run / "missing.json").write_text(r'[{"finder": "\ud83c\udf31", "reason": "x"}]')
    assert read_summary(run).missing == (("🌱", "x"),)
    (run / "manifest.json").write_text('{"seconds": 1e308}')
    assert "seconds: a number is needed, found '1e+308'" in read_summary(run).reason
