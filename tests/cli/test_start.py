import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from seedbed.cli.start import new_command
from seedbed.core.errors import InputError


def own_tests(folder: Path) -> None:
    """Run the tests of a folder as a process of its own, which ends with pytest's exit code."""
    os.chdir(folder)
    sys.exit(pytest.main(["-q", str(folder), "-p", "no:cacheprovider"]))


@pytest.mark.parametrize("noun", ["world", "finder"])
def test_what_new_writes_passes_its_own_test(
    noun: str, tmp_path: Path, begin_process: Callable[..., BaseProcess]
) -> None:
    new_command(noun, "my_own", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my_own.py", "test_my_own.py"]
    process = begin_process(own_tests, tmp_path)
    process.join()
    # 0 says that tests were found and all passed.
    assert process.exitcode == 0


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("mine")
    with pytest.raises(InputError, match=r"test_mine\.py exists already"):
        new_command("world", "mine", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["test_mine.py"]
