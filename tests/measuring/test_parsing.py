"""Every form of a written number that was seen or could be, and what it must be read as."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.measuring.parsing import parse_choice, parse_number, parse_reply

NUMBERS = {
    "3": 3,
    " 3.": 3,
    "\n\n3\n": 3,
    "30": 30,
    "-1": -1,
    "−1": -1,
    "+4": 4,
    "0": 0,
    "007": 7,
    "3.0": 3,
    "3.00": 3,
    "1,000": 1000,
    "three": 3,
    "Three.": 3,
    "seventeen": 17,
    "twenty": 20,
    "Twenty-one": 21,
    "forty two words": 42,
    "**3**": 3,
    "`3`": 3,
    "__3__": 3,
    "$3$": 3,
    "\\boxed{3}": 3,
    "**Answer:** 3": 3,
    "(3)": 3,
    '"3"': 3,
    "#3": 3,
    "3 words": 3,
    "3 fruits: apple, pear and plum": 3,
    "There are 3.": 3,
    "There are 3 of 7": 3,
    "there are 3 out of the 7 words": 3,
    "Three of the seven words are fruit.": 3,
    "The answer is 3": 3,
    "the correct answer would be: 3.": 3,
    "Answer: 3": 3,
    "There are 7 words, and the answer is 3.": 3,
    "The answer is 3, since 4 are animals.": 3,
    "The answer to your question about 7 words is 3.": 3,
    "2 + 1 = 3": 3,
    "The number of fruits in the list is 3.": 3,
    "One number is 1.": 1,
    "Three (3)": 3,
    "3 (three)": 3,
    "3, 3": 3,
    "3, because 1 apple, 1 pear and 1 plum": 3,
    "3: 1. apple 2. pear 3. plum": 3,
    "1. apple\n2. pear\n3. plum\nAnswer: 3": 3,
    "3\n\nList: [a, b]\nAnswer: 5": 5,
    "None": 0,
    "none.": 0,
    "There are none.": 0,
    "Zero": 0,
    "I am sorry for the delay: 3": 3,
}

WITHOUT = {
    "": "empty",
    " \n\t": "empty",
    "**": "empty",
    "apple": "no number",
    "3.5": "no number",
    "3.14159": "no number",
    "3rd": "no number",
    "the 3rd word": "no number",
    "3%": "no number",
    "item3": "no number",
    "1.2.3": "no number",
    "1,00": "no number",
    "two hundred": "no number",
    "someone": "no number",
    "3 or 4": "several",
    "3-4": "several",
    "3 – 4": "several",
    "three to four": "several",
    "1, 2, 3, 4, 5, 6, 7, 8,": "several",
    "3 4": "several",
    "3/4": "several",
    "one, two, three": "several",
    "The answer is 2 and 3": "several",
    "The answer is 3 or 4": "several",
    "1. apple": "several",
    "1) The words are apple and pear": "several",
    "apple 1, pear 2": "several",
    "There are 3 fruits and 4 animals": "several",
    "None of the above apply here": "no number",
    "I'm sorry, but I can't help with that.": "refusal",
    "I cannot determine the category": "refusal",
    "I don't know": "refusal",
    "As an AI language model, I have no opinion": "refusal",
}


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_numbers_are_read(text: str, number: int) -> None:
    assert parse_number(text) == number
    assert parse_reply(text).outcome == "number"


@pytest.mark.parametrize(("text", "outcome"), WITHOUT.items())
def test_what_gives_no_number_says_why(text: str, outcome: str) -> None:
    assert parse_number(text) is None
    assert parse_reply(text).outcome == outcome


@given(
    st.integers(-999, 999), st.sampled_from(["{}", " {}.", "The answer is {}.", "**{}**", "{}\n"])
)
def test_any_integer_in_any_frame(n: int, frame: str) -> None:
    assert parse_number(frame.format(n)) == n


@given(st.text(max_size=60))
def test_a_number_is_never_made_up(text: str) -> None:
    found = parse_reply(text)
    assert (found.number is None) == (found.outcome != "number")
    if found.number is not None and re.search("[0-9]", text):
        assert str(abs(found.number)) in re.sub(r"[^0-9]|(?<![0-9])0+(?=[0-9])", "", text)


COLOURS = (" red", " green", " blue", " dark blue")
GIVEN = {
    "red": " red",
    " Red.": " red",
    "**blue**": " blue",
    "dark blue": " dark blue",
    "It is a dark  blue": " dark blue",
    "blue\nred\ngreen": " blue",
    "\n\nred": " red",
    "red, red, red": " red",
    "The answer is red": " red",
    "I thought of blue, but the answer is red.": " red",
    "blue? No.\nAnswer: red": " red",
    "The answer is the colour red": " red",
    "F(x,T) = red": " red",
    "F ( x , T ) = red": " red",
    "F(x,T) = 'red'": " red",
    "x = [1.64, 1.55], T = dog => F(x,T) = green": " green",
    "x = [1.64, 1.55], T = dog => green": " green",
    "Red, because blue is for the other side.": " red",
    "Red. The others would be blue.": " red",
    "Red: neither green nor blue": " red",
    "I'm sorry for the delay: red": " red",
}
NOT_GIVEN = {
    "": "empty",
    " ** \n": "empty",
    "purple": "none",
    "redder": "none",
    "infrared": "none",
    "reddish-blue": "none",
    "blue-green": "none",
    "not red": "none",
    "It isn't red": "none",
    "It is not the red": "none",
    "something\nred": "none",
    "red or blue": "several",
    "red, green, blue": "several",
    "red blue": "several",
    "The answer is red or blue": "several",
    "It is not red but blue": "several",
    "red where x1 = 3 means blue": "several",
    "dark blue or blue": "several",
    "I cannot determine the colour": "refusal",
    "I'm sorry, I can't help with that.": "refusal",
}


@pytest.mark.parametrize(("text", "choice"), GIVEN.items())
def test_choices_are_read(text: str, choice: str) -> None:
    found = parse_choice(text, COLOURS)
    assert (found.choice, found.outcome) == (choice, "choice")


@pytest.mark.parametrize(("text", "outcome"), NOT_GIVEN.items())
def test_what_gives_no_choice_says_why(text: str, outcome: str) -> None:
    found = parse_choice(text, COLOURS)
    assert (found.choice, found.outcome) == (None, outcome)


@pytest.mark.parametrize(
    ("text", "choices", "choice"),
    [
        ("Yes.", (" True", " False"), " True"),
        ("no", (" True", " False"), " False"),
        ("true", ("yes", "no"), "yes"),
        ("FALSE", ("yes", "no"), "no"),
        ("No, it is not", ("yes", "no"), "no"),
        ("no idea", ("yes", "no"), None),
        ("I have no idea", (" True", " False"), None),
        ("not true", (" True", " False"), None),
        # Where both pairs are offered, neither stands for the other.
        ("yes", ("yes", "no", "true", "false"), "yes"),
        ("yes", (" red", " blue"), None),
        ("A", ("A", "B"), "A"),
        ("(b)", ("A", "B"), "B"),
        ("The answer is B.", ("A", "B"), "B"),
        ("A dog", ("A", "B"), None),
        ("Red", ("red", "Red"), "Red"),
        ("RED", ("red", "Red"), None),
        ("F ( x , T ) = blue", (" F(x,T) = red", " F(x,T) = blue"), " F(x,T) = blue"),
        ("blue", (" F(x,T) = red", " F(x,T) = blue"), " F(x,T) = blue"),
        ("three", (" 3", " 4"), " 3"),
        ("There are 4.", (" 3", " 4"), " 4"),
        ("5", (" 3", " 4"), None),
        ("34", (" 3", " 4"), None),
        ("red", (" red.", " blue."), " red."),
    ],
)
def test_kinds_of_choices(text: str, choices: tuple[str, ...], choice: str | None) -> None:
    assert parse_choice(text, choices).choice == choice


@given(st.permutations(COLOURS), st.sampled_from(["{}", " {}.", "The answer is {}", "F(x,T) ={}"]))
def test_the_order_of_choices_does_not_matter(choices: list[str], frame: str) -> None:
    for choice in COLOURS:
        assert parse_choice(frame.format(choice.strip()), choices).choice == choice


@given(st.text(alphabet="redblugn .,=\n", max_size=40))
def test_a_choice_is_never_made_up(text: str) -> None:
    found = parse_choice(text, COLOURS)
    assert (found.choice is None) == (found.outcome != "choice")
    if found.choice is not None:
        spaced = re.sub(r"[^a-z]+", " ", text)
        assert found.choice.strip() in spaced
        assert found.choice in COLOURS
