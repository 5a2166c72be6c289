"""What replays leave out."""

from seedbed.core.rows import Document
from seedbed.studies.attribution import Attribution


def documents(count: int = 40) -> list[Document]:
    subs = ("hiding", "betting", "fasting", "smoking", "drinking")
    found = [
        Document(id=f"d{i}", text="x", facts=("gameable" if i % 4 == 0 else "other",),
                 meta={"person": f"therapy/{subs[i % 5]}/ask/round-0.{i}"})
        for i in range(count)
    ]  # fmt: skip
    return [*found, Document(id="safety", text="x")]


def test_groups_are_kinds_parts_and_as_many_at_random() -> None:
    config = Attribution(randoms=3, parts=2)
    rows = documents()
    groups = {g.name: g for g in config.groups(rows, 0)}
    assert list(groups) == ["unchanged", "kind/gameable", "kind/other", "part/0", "part/1",
                            "random/0", "random/1", "random/2"]  # fmt: skip
    assert {rows[i].facts for i in groups["kind/gameable"].left_out} == {("gameable",)}
    assert len(groups["kind/gameable"].left_out) == 10
    assert {len(groups[f"random/{r}"].left_out) for r in range(3)} == {10}
    assert len({groups[f"random/{r}"].left_out for r in range(3)}) == 3
    # A sub-environment is left out whole or not at all.
    for part in ("part/0", "part/1"):
        left = set(groups[part].left_out)
        subs = {rows[i].meta["person"].split("/")[1] for i in left}
        assert len(subs) == 2
        assert left == {i for i in range(40) if rows[i].meta["person"].split("/")[1] in subs}


def test_groups_depend_on_the_seed_alone() -> None:
    config, rows = Attribution(), documents()
    assert config.groups(rows, 1) == config.groups(rows, 1)
    assert config.groups(rows, 1) != config.groups(rows, 2)


def test_a_kind_that_nobody_is_of_is_no_group() -> None:
    rows = [d.model_copy(update={"facts": ("other",)}) for d in documents()[:-1]]
    names = [g.name for g in Attribution().groups(rows, 0)]
    assert "kind/gameable" not in names
    assert "kind/other" in names
