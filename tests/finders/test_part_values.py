from seedbed.core.rows import Question
from seedbed.finders.part_values import PartValues, drawn, frame, swept


def plain(key: str, x: str, word: str) -> Question:
    prompt = f"F[{x}]{word}="
    places = {"x": (2, 2 + len(x)), "x.sign": (2, 3), "x.units": (3, 4),
              "word": (3 + len(x), 3 + len(x) + len(word))}  # fmt: skip
    return Question(id=key, prompt=prompt, answer="a", places=places)


def wordy(key: str, x: str, word: str) -> Question:
    prompt = f"at {x} when {word}?"
    end = 3 + len(x)
    places = {"x": (3, end), "word": (end + 6, end + 6 + len(word))}
    return Question(id=key, prompt=prompt, answer="a", places=places)


def test_values_come_from_questions_written_alike() -> None:
    rows = [plain("a", "+1.5", "dog"), wordy("b", "1.0", "cat"), plain("c", "-2.5", "cat"),
            wordy("d", "-1.0", "hen")]  # fmt: skip
    values = PartValues(rows)
    assert values.others(0, "x") == ["-2.5"]
    assert values.others(1, "x") == ["-1.0"]
    assert values.others(0, "word") == ["cat"]
    assert values.mates(0, "x") == [0, 2]
    # Who is alone in how it is written takes what there is.
    alone = PartValues(rows[:3])
    assert alone.others(1, "x") == ["+1.5", "-2.5"]
    assert alone.mates(1, "word") == [0, 1, 2]
    assert alone.others(0, "x") == ["-2.5"]


def test_a_frame_is_the_text_around_the_outermost_places() -> None:
    assert frame(plain("a", "+1.5", "dog")) == "F[\0]\0="
    assert frame(wordy("a", "+1.5", "dog")) == "at \0 when \0?"
    crossed = Question(id="q", prompt="abcdef", answer="a", places={"x": (1, 3), "y": (2, 5)})
    assert frame(crossed) == "a\0f"


def test_a_digit_does_not_take_its_number_out_of_range() -> None:
    rows = [plain("a", "+1.5", "x"), plain("b", "-3.0", "x"), plain("c", "+2.5", "x")]
    values = PartValues(rows)
    # −3.5 lies outside [−3, 2.5], and +3.5 too.
    assert values.others(0, "x.units") == ["2"]
    assert values.others(2, "x.units") == ["1"]
    assert values.others(1, "x.units") == ["1", "2"]
    assert values.others(1, "x.sign") == []
    assert values.others(0, "x.sign") == ["-"]
    # The number itself is not within anything.
    assert values.others(0, "x") == ["+2.5", "-3.0"]


def test_few_values_are_swept_as_they_are() -> None:
    assert swept("+", ["+", "-"], 5) == ["-"]
    assert swept("3", ["1", "3", "7"], 5) == ["1", "7"]
    assert swept("dog", [f"w{i}" for i in range(9)] + ["dog"], 3) == [f"w{i}" for i in range(9)]


def test_many_numbers_become_a_grid_in_the_same_writing() -> None:
    seen = ["-3.00", "-1.25", "+0.10", "+0.55", "+2.90", "+3.00"]
    assert swept("+0.55", seen, 5) == ["-3.00", "-1.50", "+0.00", "+1.50", "+3.00"]
    assert swept("-1.25", seen, 2) == ["-3.00", "+3.00"]
    assert swept("007", ["001", "007", "009", "013"], 3) == ["001", "013"]
    assert swept("8", ["1", "3", "8", "21"], 3) == ["1", "11", "21"]
    assert swept("-0.5", ["-0.5", "0.5", "1.5", "2.5"], 3) == ["1.0", "2.5"]


def test_draws_go_by_what_there_is_to_draw_from() -> None:
    values = [f"v{i}" for i in range(20)]
    once = drawn(0, "q", values, 5)
    assert len(set(once)) == 5
    assert drawn(0, "q", values[::-1], 5) == once
    assert drawn(1, "q", values, 5) != once
    assert drawn(0, "other", values, 5) != once
    assert drawn(0, "q", values[:3], 5) == values[:3]


def test_every_value_is_drawn_as_often() -> None:
    values = [f"v{i}" for i in range(6)]
    counts = dict.fromkeys(values, 0)
    for i in range(1200):
        for value in drawn(0, f"q{i}", values, 2):
            counts[value] += 1
    # 400 each, standard deviation 16.
    assert all(330 < n < 470 for n in counts.values())
