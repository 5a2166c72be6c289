"""The one reader of written answers: which whole number, or which choice, does a reply give?

It never guesses: a reply with two of them and no sign which one is meant gives none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Outcome = Literal["number", "refusal", "several", "no number", "empty"]
ChoiceOutcome = Literal["choice", "several", "none", "empty", "refusal"]

_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
         "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
         "eighteen", "nineteen"]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
NEAR = 40  # characters between "the answer is" and the answer
SIGNED = 3  # characters between "=" or "=>" and a choice, for x = 3 gives none
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


_BOOLEANS = (("yes", "no"), ("true", "false"))
_NOT = re.compile(
    r"(?:\bnot|n't|n’t|\bneither|\bnor|\brather than)\s+(?:an?\s+|the\s+)?[\"'“(\[]?$", re.I
)
_CLOSED = re.compile(r"""\s*(?:$|[.:;!,)\]"'”’])""")
_ENDED = re.compile(r"\s*(?:[.:;!]|,?\s*(?:because|since|as)\b)", re.IGNORECASE)


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


@dataclass(frozen=True)
class Chosen:
    """`choice` is None unless `outcome` is "choice"; the other outcomes say why."""

    choice: str | None
    outcome: ChoiceOutcome


def parse_choice(text: str, choices: Sequence[str]) -> Chosen:
    """Which of `choices` the text gives that a model wrote after a prompt (never with it).

    1. Marks of emphasis do not count; spaces, a stop after a choice and what all choices have
       before a "=" (such as `F(x,T) =`) are no part of it. Choices that are all whole numbers
       are read by `parse_reply`.
    2. What follows the last "answer is", "answer:" or "=" is the answer, if a choice follows
       within 40 characters of the line (3 after "=" or "=>"). Otherwise the first line that is
       not blank is read.
    3. A choice counts as whole words, in any case (unless choices differ in case only), the
       longest where one holds another. yes, no and single letters count only before the end of
       the line or a sign, for "a" and "no idea" name no choice. Where the choices are yes and
       no, or true and false, the other pair means the same.
    4. One choice, however often it stands there, is the answer; of several, the one the line
       begins with, if a sentence or a reason ends it there ("Red, because blue …"). A choice
       behind "not", "nor" and the like is none.
    """
    plain = _MARKUP.sub(lambda m: m[1] or m[2] or "", text).strip()
    if not plain:
        return Chosen(None, "empty")
    whole = {c.strip(): c for c in choices}
    if all(re.fullmatch("[-−+]?[0-9]+", name) for name in whole):
        return _numeral(text, whole)
    names = _names_of(tuple(choices))
    for sign in reversed(list(_MEANT.finditer(plain))):
        tail = plain[sign.end() :].lstrip().partition("\n")[0]
        near = SIGNED if sign[0].endswith("=") else NEAR
        if any(start <= near for _, start, _ in _mentions(tail, names)[:1]):
            return _choose(tail, names)
    return _choose(plain.partition("\n")[0], names)


def _numeral(text: str, choices: dict[str, str]) -> Chosen:
    found = parse_reply(text)
    by_value = {int(name.replace("−", "-")): choice for name, choice in choices.items()}
    if found.outcome == "number":
        choice = by_value.get(found.number if found.number is not None else -1)
        return Chosen(choice, "none" if choice is None else "choice")
    return Chosen(None, "none" if found.outcome == "no number" else found.outcome)


@lru_cache(maxsize=64)
def _names_of(choices: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """(what is looked for, the choice that it means), the longest first."""
    heads = {c.rpartition("=")[0].strip() for c in choices}
    cut = len(heads) == 1 and all(c.rpartition("=")[2].strip() for c in choices)
    short = {c: (c.rpartition("=")[2] if cut else c).strip() for c in choices}
    short = {c: name.rstrip(".").rstrip() or name for c, name in short.items()}
    folded = {name.casefold() for name in short.values()}
    flags = re.IGNORECASE if len(folded) == len(choices) else re.NOFLAG
    names = [(name, choice) for choice, name in short.items()]
    if flags and folded in [set(pair) for pair in _BOOLEANS]:
        for said, meant in zip(*(_BOOLEANS if "true" in folded else _BOOLEANS[::-1]), strict=True):
            names += [(said, choice) for choice, name in short.items() if name.casefold() == meant]
    names.sort(key=lambda pair: -len(pair[0]))
    return tuple((_pattern(name, flags), choice) for name, choice in names)


def _pattern(name: str, flags: re.RegexFlag) -> re.Pattern[str]:
    # Tokenizers of words write every sign apart, so spaces between pieces do not count.
    body = r"\s*".join(map(re.escape, re.findall(r"\w+|[^\w\s]", name)))
    alone = len(name) == 1 or name.casefold() in _BOOLEANS[0]
    return re.compile(
        rf"(?<![\w-]){body}(?![\w-]){f'(?={_CLOSED.pattern})' if alone else ''}", flags
    )


def _mentions(
    line: str, names: Sequence[tuple[re.Pattern[str], str]]
) -> list[tuple[str, int, int]]:
    """(choice, start, end) of every mention in order; none lies within a longer one."""
    found: list[tuple[str, int, int]] = []
    for pattern, choice in names:
        for match in pattern.finditer(line):
            start, end = match.span()
            if not any(a < end and start < b for _, a, b in found):
                found.append((choice, start, end))
    return sorted(found, key=lambda mention: mention[1])


def _choose(line: str, names: Sequence[tuple[re.Pattern[str], str]]) -> Chosen:
    """Rule 4: the choice that a line gives."""
    found = _mentions(line, names)
    if not found:
        return Chosen(None, "refusal" if _REFUSAL.search(line) else "none")
    denied = [_NOT.search(line[:start]) is not None for _, start, _ in found]
    first, start, end = found[0]
    if len({choice for choice, _, _ in found}) == 1:
        return Chosen(None, "none") if any(denied) else Chosen(first, "choice")
    if start == 0 and _ENDED.match(line, end):
        return Chosen(first, "choice")
    return Chosen(None, "several")
