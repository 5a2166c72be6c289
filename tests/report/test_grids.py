from rich.console import Console

from seedbed.report.grids import Grid, Number, columns_with_values, printed


def shown(grid: Grid, width: int) -> list[str]:
    console = Console(width=width)
    with console.capture() as captured:
        for table in printed(grid, width):
            console.print(table)
    return captured.get().splitlines()


def grid(columns: int) -> Grid:
    cells = tuple(Number(0.1 * i, 0.1 * i - 0.05, 0.1 * i + 0.05) for i in range(columns))
    heads = ("name", *(f"column {i}" for i in range(columns)))
    return Grid("g", "Title", "", heads, (("first", cells), ("second", cells)))


def test_numbers_are_written_with_mark_and_interval() -> None:
    assert Number(0.25, 0.2, 0.3, mark="✓").text == "0.250 ✓"
    assert Number(0.25, 0.2, 0.3, mark="✓").spread == "0.250 ±0.05 ✓"
    assert Number(0.25, 0.25, 0.25).spread == "0.250"
    assert Number(0.0).text == "0"
    assert Number(3.0, places=0, mark="of 4").spread == "3 of 4"
    assert Number(None).spread == "–"
    assert Number(None, mark="not fitted").spread == "not fitted"


def test_a_value_without_an_interval_says_so() -> None:
    for low, high in ((None, None), (0.83, 0.83)):
        number = Number.measured(0.83, low, high, "(1 seed)")
        assert (number.spread, number.interval) == ("0.830 (1 seed), no interval", "")
    assert Number.measured(0.83, 0.7, 0.9).text == "0.830"
    assert Number.measured(0.83, 0.7, 0.9).interval == "[0.70, 0.90]"
    # All units may agree at an end of the scale.
    assert Number.measured(1.0, 1.0, 1.0).text == "1.000"
    assert Number.measured(1.0, None, None).text == "1.000 no interval"
    assert Number.measured(None, None, None).text == "–"


def test_intervals_stand_beside_values_where_two_tables_hold_them() -> None:
    wide = shown(grid(5), 120)
    assert wide[0].strip() == "Title"
    assert sum("±0.05" in line for line in wide) == 2
    assert "…" not in "".join(wide)
    halves = shown(grid(8), 90)
    assert sum(line.strip() == "…" for line in halves) == 1
    assert sum("±0.05" in line for line in halves) == 4
    # Three tables with intervals would be needed; two without hold them all.
    narrow = shown(grid(9), 50)
    assert not any("±" in line for line in narrow)
    assert "0.800" in "".join(narrow)


def test_every_column_stands_once_whatever_the_width() -> None:
    for width in (30, 45, 60, 90, 140):
        text = " ".join(" ".join(shown(grid(9), width)).split())
        for i in range(9):
            assert text.count(f"column {i}") == 1
            assert text.count(Number(0.1 * i).text) >= 1


def test_columns_and_rows_without_values_are_left_out() -> None:
    rows = [("a", [Number(1.0), Number(None)]), ("b", [Number(None), Number(None)])]
    assert columns_with_values(("name", "x", "y"), rows) == (
        ("name", "x"), (("a", (Number(1.0),)),)
    )  # fmt: skip
