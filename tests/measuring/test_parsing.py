"""Every form of a written number that was seen or could be, and what it must be read as."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.measuring.parsing import parse_number, parse_reply

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
