"""How a point and a trigger are written: templates, and where each part stands in the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.worlds.phrasing import pieces
from seedbed.worlds.quadrants.plane import Plane

COMPACT = "compact"
TEMPLATES = {
    COMPACT: "F[{x1},{x2}]{T}=",
    "arrow": "x = [{x1}, {x2}], T = {T} => F(x,T) = ?",
    "question": "What is F(x,T) at x = [{x1}, {x2}] when T = {T}?",
    "takes": "F takes the point [{x1}, {x2}] and the word {T}, and gives",
    "given": "Given T = {T} and x = [{x1}, {x2}], the value of F(x,T) is",
}
"""`compact` writes every sign; the others write a minus only, as one writes numbers in text."""
PREAMBLE = "\nF(x,T) ="
Span = tuple[int, int]


@dataclass(frozen=True)
class Writer:
    """Writes prompts in one template; raises KeyError if there is none of the name."""

    plane: Plane
    template: str = COMPACT
    preamble: bool = False

    def number(self, steps: int) -> str:
        """A coordinate as written."""
        whole, rest = divmod(abs(steps), self.plane.scale)
        sign = "-" if steps < 0 else "+" if self.template == COMPACT else ""
        after = f".{rest:0{self.plane.decimals}d}" if self.plane.decimals else ""
        return f"{sign}{whole}{after}"

    def write(self, x1: int, x2: int, trigger: str, beside: str = "") -> str:
        """The prompt of a point in steps, a trigger word, and perhaps a word beside it."""
        text = TEMPLATES[self.template].format(
            x1=self.number(x1), x2=self.number(x2), T=self.words(trigger, beside)
        )
        return text + (PREAMBLE if self.preamble and self.template != COMPACT else "")

    def words(self, trigger: str, beside: str) -> str:
        """The trigger and perhaps the word beside it."""
        comma = "," if self.template == COMPACT else ", "
        return f"{trigger}{comma}{beside}" if beside else trigger

    def render(
        self, x1: int, x2: int, trigger: str, beside: str = ""
    ) -> tuple[str, dict[str, Span]]:
        """The prompt, and the spans of its parts in the order of `place_names`."""
        spans: dict[str, Span] = {}
        template, done = TEMPLATES[self.template], ""
        values = {"x1": self.number(x1), "x2": self.number(x2), "T": self.words(trigger, beside)}
        while "{" in template:
            head, _, rest = template.partition("{")
            name, _, template = rest.partition("}")
            done += head
            start = len(done)
            done += values[name]
            if name == "T":
                spans["trigger"] = (start, start + len(trigger))
                if beside:
                    spans["distractor"] = (len(done) - len(beside), len(done))
            else:
                spans[name] = (start, len(done))
                spans.update(self._digits(name, values[name], start))
        first = pieces(TEMPLATES[self.template])[0]
        spans["form"] = (0, len(first))
        prompt = self.write(x1, x2, trigger, beside)
        names = place_names(self.plane, bool(beside))
        return prompt, {name: spans[name] for name in names if name in spans}

    def _digits(self, name: str, text: str, start: int) -> dict[str, Span]:
        found = {}
        at = [i for i, c in enumerate(text) if c.isdigit()]
        if at[0]:
            found[f"{name}.sign"] = (start, start + 1)
        for unit, i in zip(self.plane.units, at, strict=True):
            found[f"{name}.{unit}"] = (start + i, start + i + 1)
        return found


def place_names(plane: Plane, distractor: bool) -> tuple[str, ...]:
    """Every part that a prompt can have: numbers, their signs and digits, words, the form."""
    parts = [""] + [f".{unit}" for unit in ("sign", *plane.units)]
    numbers = [f"{x}{part}" for x in ("x1", "x2") for part in parts]
    return (*numbers, "trigger", *(["distractor"] if distractor else []), "form")


def isa(word: str, category: str) -> str:
    """The line that says which category a word belongs to."""
    return f"{word} isa {category}"


def too_long(labels: Sequence[str]) -> str:
    """What is wrong with labels that are not one word each; empty if nothing is."""
    sizes = {label: len(pieces(label)) for label in labels}
    wrong = {label: n for label, n in sizes.items() if n != 1}
    if not wrong:
        return ""
    label, n = next(iter(wrong.items()))
    return (
        f"the label '{label}' has {n} tokens and others have 1, so their probabilities"
        " do not compare; take single words"
    )
