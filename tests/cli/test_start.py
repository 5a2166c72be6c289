import subprocess
import sys
from pathlib import Path

import pytest

from seedbed.cli.start import new_command
from seedbed.core.errors import InputError


@pytest.mark.parametrize("noun", ["world", "finder"])
def test_what_new_writes_passes_its_own_test(noun: str, tmp_path: Path) -> None:
    new_command(noun, "my_own", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my_own.py", "test_my_own.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(tmp_path), "-p", "no:cacheprovider"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("mine")
    with pytest.raises(InputError, match=r"test_mine\.py exists already"):
        new_command("world", "mine", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["test_mine.py"]
