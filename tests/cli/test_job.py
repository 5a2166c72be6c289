import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seedbed.cli.main import app
from seedbed.models.folders import save_subject
from seedbed.models.tiny import Tiny
from seedbed.worlds.observed.world import Observed

FILES = Path(__file__).parents[2] / "studies" / "jobs"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that can read the built-in items."""
    root = tmp_path_factory.mktemp("workspace")
    asked = Observed().questions(0)
    texts = [t for q in asked for t in (q.prompt, *q.choices)]
    save_subject(
        Tiny(layers=2, width=16, heads=2, init=0.3).build(texts, [], 0),
        root / "transformers" / "own",
    )
    return root


def test_a_job_prints_what_its_numbers_mean(workspace: Path) -> None:
    job = FILES / "mmlu_pro_save_candidate_directions.yaml"
    words = ["job", str(job), "--workspace", str(workspace), "--set", "subject.path=own",
             "--set", "world={splits: {most: 20}}",
             "--set", "directions.measure=[difference, random]",
             "--set", "subject.trust_remote_code=false"]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    folder = workspace / "experiments" / job.stem
    assert "95 % intervals" in " ".join(done.output.split())
    assert "directions of own" in done.output
    result = json.loads((folder / "result.json").read_text())
    sites = {r["site"] for r in result["rows"]}
    assert sites == {"chosen", "resid_pre.1@last", "resid_post.1@last"} | (
        sites & {"resid_pre.0@last"}
    )
    again = CliRunner().invoke(app, words)
    assert "finished already" in again.output
    other = CliRunner().invoke(app, [*words, "--set", "seed=1"])
    assert other.exit_code != 0
    assert "other settings (seed was 0, is 1)" in str(other.exception)
