from pathlib import Path
from typing import Any

from seedbed.runs.store import Store
from seedbed.studies.plan import Plan
from seedbed.studies.study import Study


def test_a_file_that_a_world_reads_is_part_of_the_key_of_all_that_comes_of_it(
    counting_study: dict[str, Any], tmp_path: Path
) -> None:
    examples = tmp_path / "examples.jsonl"
    asked = {**counting_study["world"]["asked"], "examples": str(examples)}
    study = Study.model_validate(
        {**counting_study, "world": {**counting_study["world"], "asked": asked}}
    )
    plan = Plan(study, Store(tmp_path / ".store"))
    keys = []
    for text in ("one", "two"):
        examples.write_text(text)
        tasks = (
            plan.data(0), plan.train(0), plan.mediate(0, ("q0",)), plan.changed(0, "plus-one"),
            plan.asked_before(0, "plus-one"), plan.organism(0, "plus-one", 1),
        )  # fmt: skip
        keys.append([plan.store.place(t.stage, t.key)[0] for t in tasks])
    assert all(a != b for a, b in zip(*keys, strict=True))
