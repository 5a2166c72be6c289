import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seedbed.report.site import build_site
from seedbed.runs.summary import Line, Summary

EVIL = "<script>window.broken=1</script>"
Make = Callable[..., Summary]


def line(finder: str, value: float | None = 0.5, **more: Any) -> Line:
    """A line of a finder of documents, with an interval of ±0.1 and chance at 0.1."""
    known: dict[str, Any] = {
        "sites": "document", "finder": finder, "kind": finder, "truth": "declared",
        "metric": "average_precision", "value": value,
        "low": None if value is None else value - 0.1,
        "high": None if value is None else value + 0.1,
        "chance": 0.1, "oracle": 1.0, "seconds": 2.5, "epochs": 0.25,
    }  # fmt: skip
    return Line(**{**known, **more})


def made_up(name: str = "study", *lines: Line, **more: Any) -> Summary:
    """A finished run of hops that no folder holds."""
    run = Summary(
        folder=Path("nowhere") / name, study=name, digest=f"{name:0<12}", world="hops",
        sites="document", subject="tiny", seeds=(0, 1, 2), state="finished", reason="",
        started="2026-01-01T10:00:00+00:00", finished="2026-01-01T10:05:00+00:00", seconds=300.0,
        version="0.1.0", code="c" * 16, command="seedbed run study.yaml", lines=lines,
    )  # fmt: skip
    return replace(run, **more)


def rewrite(run: Path, config: Callable[[str], str], **manifest: Any) -> None:
    """Change a run's configuration as text and its manifest by keys."""
    path = run / "config.yaml"
    path.write_text(config(path.read_text(encoding="utf-8")), encoding="utf-8")
    path = run / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **manifest}))


@pytest.fixture(scope="session")
def runs(small: Path, stopped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs of every state: two versions of one, one with a hostile name."""
    root = tmp_path_factory.mktemp("site") / "runs"
    shutil.copytree(small, root / "first")
    shutil.copytree(small, root / "again")
    rewrite(root / "again", str, code_digest="e" * 64, started="2026-02-02T00:00:00+00:00")
    shutil.copytree(small, root / "group" / "evil")
    named = re.compile("^name: .*", flags=re.MULTILINE)

    def other(text: str) -> str:
        return named.sub(f'name: "{EVIL}"', text).replace("steps: 200", "steps: 201")

    rewrite(root / "group" / "evil", other)
    shutil.copytree(stopped, root / "stopped")
    shutil.copytree(small, root / "damaged")
    (root / "damaged" / "scores.json").write_text('[{"finder": ', encoding="utf-8")
    shutil.copytree(small, root / "unfinished")
    (root / "unfinished" / "manifest.json").unlink()
    return root


@pytest.fixture(scope="session")
def site(runs: Path) -> Path:
    """The site of these runs, beside them."""
    return build_site([runs], runs.parent / "pages").parent
