from typing import Any

from seedbed.studies.sides import Side

STUDY: dict[str, Any] = {
    "world": {"kind": "recall", "lexicon": {"values": 8, "words": 8}},
    "subject": {"kind": "tiny", "layers": 3},
    "training": {"steps": 5, "optimizer": {"lr": 0.1}},
    "seeds": [0],
}


def test_parts_are_changed_key_by_key_and_replaced_with_their_kind() -> None:
    side = Side(world={"lexicon": {"words": 12}}, subject={"kind": "recurrent", "core": 2})
    found = side.of(STUDY)
    assert found["world"] == {"kind": "recall", "lexicon": {"values": 8, "words": 12}}
    assert found["subject"] == {"kind": "recurrent", "core": 2}
    assert found["training"] == STUDY["training"]
    assert found["seeds"] == [0]


def test_a_side_may_take_its_subject_as_it_is() -> None:
    assert Side(training=None).of(STUDY)["training"] is None
    assert Side(training={"steps": 9}).of({**STUDY, "training": None})["training"] == {"steps": 9}
