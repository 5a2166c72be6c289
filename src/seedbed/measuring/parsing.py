"""The one reader of written answers: which whole number does a reply give, if any?

It never guesses: a reply with two numbers and no sign which one is meant gives none.
"""

import re
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["number", "refusal", "several", "no number", "empty"]

_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
         "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
         "eighteen", "nineteen"]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
NEAR = 40  # characters between "the answer is" and the answer
WORDS = {word: n for n, word in enumerate(_ONES)} | {t: 20 + 10 * n for n, t in enumerate(_TENS)}

# Digits not inside a word, a decimal (unless its fraction is 0), an ordinal or a percentage.
_DIGITS = re.compile(
    r"(?<![\w.,])(?P<sign>[-−+])?(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?P<part>\.[0-9]+)?"
    r"(?![\w%]|\.[0-9]|,[0-9])"
)
_NAMES = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})[ -])?(?P<word>{'|'.join(WORDS)})\b"
    r"(?!\s+(?:hundred|thousand|million))",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"[*_`$]+|\\boxed\{([^{}]*)\}|\\text\{([^{}]*)\}")
_MEANT = re.compile(r"\banswer\b[^.\n]{0,60}?(?:\bis\b|\bwould be\b|:|=)|=", re.IGNORECASE)
_TOTAL = re.compile(r"\s+(?:out\s+)?of\s+(?:the\s+|all\s+|these\s+|those\s+)?$", re.IGNORECASE)
_SERIES = re.compile(r"\s*(?:-|–|/|,|;|&|to|or|and)?\s*", re.IGNORECASE)
_NUMBERED = re.compile(r"1[.)]\s+[^\W\d]")
_NOTHING = re.compile(r"(?:there are\s+)?none[.!]?", re.IGNORECASE)
_REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|unable to|as an ai|i (?:can(?:not|'t|’t)|do(?: not|n't|n’t) know)"
    r"|(?:cannot|can't|can’t) (?:be )?(?:determine|answer|count|help|provide|say))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Parsed:
    """`number` is None unless `outcome` is "number"; the other outcomes say why."""

    number: int | None
    outcome: Outcome


@dataclass(frozen=True)
class _Found:
    value: int
    start: int
    end: int


def parse_number(text: str) -> int | None:
    """The whole number that a reply gives, or None; see `parse_reply`."""
    return parse_reply(text).number


def parse_reply(text: str) -> Parsed:
    r"""Read the text that a model wrote after a prompt (never the prompt with it).

    1. Marks of emphasis and `\boxed{}` do not count. Digits count as whole numbers alone: not
       within words, ordinals (3rd), percentages or fractions (3.5); 3.0 is 3, 1,000 is 1000,
       −1 is −1.
    2. Numbers in words (zero … ninety-nine) count where there are no digits at all.
    3. What follows the last "answer is", "answer:" or "=" is the answer, if a number follows.
    4. Otherwise the M of "N of M" and "N out of M" does not count, and
       - one number, however often it stands there, is the answer;
       - of several, the one the reply begins with ("3: 1 apple, 2 pears …");
       - else none; nor for ranges and series ("3-4", "3 or 4", "1, 2, 3") and "1. word".
    5. "None" and "There are none", as the whole reply, are 0.
    """
    plain = _MARKUP.sub(lambda m: m[1] or m[2] or "", text).strip()
    if not plain:
        return Parsed(None, "empty")
    if _NOTHING.fullmatch(plain):
        return Parsed(0, "number")
    for sign in reversed(list(_MEANT.finditer(plain))):
        tail = plain[sign.end() :].lstrip()
        if any("\n" not in tail[: n.start] and n.start <= NEAR for n in _numbers(tail)[:1]):
            return _pick(tail)
    return _pick(plain)


def _pick(text: str) -> Parsed:
    """Rules 4: the number that a text gives, none of its signs considered."""
    every = _numbers(text)
    if not every:
        refused = _REFUSAL.search(text) and not re.search("[0-9]", text)
        return Parsed(None, "refusal" if refused else "no number")
    found = [
        n for i, n in enumerate(every)
        if not (i and _TOTAL.fullmatch(text[every[i - 1].end : n.start]))
    ]  # fmt: skip
    series = len(found) > 1 and _SERIES.fullmatch(text[found[0].end : found[1].start])
    if (series and found[0].value != found[1].value) or _NUMBERED.match(text):
        return Parsed(None, "several")
    if len({n.value for n in found}) == 1 or found[0].start == 0:
        return Parsed(found[0].value, "number")
    return Parsed(None, "several")


def _numbers(text: str) -> list[_Found]:
    """Whole numbers in order: in digits, or in words where there are no digits at all."""
    if re.search("[0-9]", text):
        return [
            _Found(int(m["whole"].replace(",", "")) * (-1 if m["sign"] in ("-", "−") else 1),
                   m.start(), m.end())
            for m in _DIGITS.finditer(text)
            if not (m["part"] or "").strip(".0")
        ]  # fmt: skip
    return [
        _Found(WORDS[m["word"].lower()] + (WORDS[m["tens"].lower()] if m["tens"] else 0),
               m.start(), m.end())
        for m in _NAMES.finditer(text)
    ]  # fmt: skip
