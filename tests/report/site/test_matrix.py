from tests.report.site.conftest import line, made_up

from seedbed.core.sites import SiteKind
from seedbed.report.site_entries import entries_of
from seedbed.report.site_matrix import FIRST, Cell, known_worlds, matrix
from seedbed.runs.summary import Summary


def cell_of(runs: list[Summary], world: str, sites: str, truth: str = "declared") -> Cell:
    found = matrix(entries_of(runs), truth)
    row = next(row for row in found.rows if row.world == world)
    return next(cell for cell in row.cells if cell.sites == sites)


def test_five_worlds_stand_first_and_four_kinds_of_site() -> None:
    found = matrix([])
    assert tuple(row.world for row in found.rows if row.first) == FIRST
    assert {row.world for row in found.rows} == {*FIRST, *known_worlds()}
    assert found.columns == ("document", "cell", "input", "direction")
    assert found.apart == ()
    assert sum(found.counts.values()) == 4 * len(found.rows)


def test_every_cell_without_a_run_is_open_or_says_why_there_is_no_site() -> None:
    for row in matrix([]).rows:
        world = known_worlds()[row.world]
        for cell in row.cells:
            kind = SiteKind(cell.sites)
            if kind == world.sites or kind in world.crossings:
                assert cell.state == "open"
            elif kind in world.lacking:
                assert (cell.state, cell.reason) == ("none", world.lacking[kind].replace("`", ""))
            assert cell.reason


def test_most_seeds_then_newest_and_the_others_are_counted() -> None:
    many = made_up("many", line("bm25", 0.3), seeds=(0, 1, 2, 3), started="2024-01-01T00:00:00")
    newest = made_up("newest", line("bm25", 0.9), started="2026-03-01T00:00:00")
    old = made_up("old", line("bm25", 0.8))
    cell = cell_of([newest, old, many], "hops", "document")
    assert cell.entry is not None
    assert cell.number is not None
    assert (cell.entry.run, cell.number.line.value, cell.others) == (many, 0.3, 2)
    cell = cell_of([newest, old], "hops", "document")
    assert cell.entry is not None
    assert (cell.entry.run, cell.others) == (newest, 1)


def test_no_mean_over_runs_and_truths_never_mixed() -> None:
    runs = [made_up("a", line("bm25", 0.3), line("gradients", 0.7, truth="measured", metric="lds"))]
    declared, measured = (cell_of(runs, "hops", "document", t) for t in ("declared", "measured"))
    assert declared.number is not None
    assert measured.number is not None
    assert (declared.number.line.finder, measured.number.line.finder) == ("bm25", "gradients")


def test_a_run_that_only_has_controls_does_not_fill_a_cell() -> None:
    cell = cell_of([made_up("a", line("chance", 0.9), line("oracle", 1.0))], "hops", "document")
    assert cell.state == "open"


def test_ended_runs_say_how() -> None:
    stopped = made_up("a", state="stopped", reason="not learned: depth=1")
    cell = cell_of([stopped], "hops", "document")
    assert (cell.state, cell.reason) == ("ended", "stopped: not learned: depth=1")
    scored = made_up("b", line("bm25"))
    assert cell_of([stopped, scored], "hops", "document").state == "score"
    damaged = made_up("c", line("bm25"), state="damaged", reason="scores.json:1: not JSON")
    assert cell_of([damaged], "hops", "document").state == "ended"


def test_a_third_party_world_says_itself_what_it_lacks() -> None:
    own = "worlds/mine.py:Mine"
    run = made_up("a", line("bm25"), world=own, lacking=(("cell", "it has no pairs"),))
    found = matrix(entries_of([run])).rows[-1 - len(set(known_worlds()) - set(FIRST)) :]
    assert own in {row.world for row in found}
    assert cell_of([run], own, "document").state == "score"
    cell = cell_of([run], own, "cell")
    assert (cell.state, cell.reason) == ("none", "it has no pairs")
    assert cell_of([run], own, "input").state == "open"


def test_further_kinds_stand_apart_where_a_run_has_them() -> None:
    run = made_up("a", line("user-probe", sites="user"), world="users", sites="user")
    found = matrix(entries_of([run]))
    assert found.apart == ("user",)
    assert cell_of([run], "users", "user").state == "score"


def test_a_run_may_say_itself_why_nothing_was_scored() -> None:
    run = made_up("a", line("bm25"), lacking=(("direction", "nothing but bases is learned"),))
    cell = cell_of([run], "hops", "direction")
    assert (cell.state, cell.reason) == ("ended", "nothing but bases is learned")
    assert cell.entry is not None
    assert cell.entry.run == run
