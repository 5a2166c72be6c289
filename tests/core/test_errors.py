import pickle

import pytest

from seedbed.core.errors import DataError, GateError, MissingExtra, SeedbedError


@pytest.mark.parametrize(
    "error", [DataError("f.jsonl", 3, "what"), MissingExtra("peft", "lora"), GateError("x")]
)
def test_errors_cross_processes(error: SeedbedError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.exit_code == error.exit_code
