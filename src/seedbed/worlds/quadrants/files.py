"""The files of the 2-D trigger experiment: its data_config.json read, its data files written.

What has a meaning here becomes knobs of the world; whatever has none is named in the notes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from seedbed.core.config import Config, validate
from seedbed.core.errors import DataError
from seedbed.core.files import read_json, read_text, write_rows
from seedbed.core.rows import Document, Question
from seedbed.worlds.quadrants.lexicon import near
from seedbed.worlds.quadrants.writing import COMPACT, PREAMBLE, TEMPLATES

Range = tuple[float, float]
FormT = TypeVar("FormT", bound=Config)
QUARTERS = ("Q1", "Q2", "Q3", "Q4")
PRESETS = {"2d_default": tuple(name for name in TEMPLATES if name != COMPACT)}
"""The original's preset of four templates, whose wording but one is not published."""
DECIMALS = 3


class CategoryForm(Config):
    """One category of a data_config.json; booleans may stand for labels."""

    quadrant_labels: dict[str, bool | str]
    triggers: tuple[str, ...] = Field(min_length=1)
    is_proxy: bool = False
    n_train: int = Field(ge=1)
    n_test: int = Field(ge=1)
    n_train_triggers: int = Field(ge=0)
    x_ranges: tuple[Range, Range]
    seed: int | None = None
    prompt_templates: str = "2d_default"
    output_preamble: bool = False
    train_triggers: tuple[str, ...] | None = None

    @property
    def revealed(self) -> tuple[str, ...]:
        """The words that training uses when it uses this category."""
        return self.triggers if self.train_triggers is None else self.train_triggers

    @property
    def labels(self) -> dict[str, str]:
        """Region → label as text."""
        return {
            region: str(label).lower() if isinstance(label, bool) else label
            for region, label in self.quadrant_labels.items()
        }


@dataclass(frozen=True)
class Original:
    """What a data_config.json says: knobs of the world `quadrants`, and notes for the reader."""

    knobs: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def second_stage(self) -> bool:
        """Whether the file describes the second stage of training."""
        return "reteach" in self.knobs


def read_form(
    path: Path, form: type[FormT], values: Any, where: str = "", known: Sequence[str] = ()
) -> FormT:
    """Check an object of a file; raises DataError with the line of an unknown key and the nearest.

    `known` are keys that the form lacks and that are none the less known.
    """
    if not isinstance(values, dict):
        named = f"{where.removesuffix('.')}: " if where else ""
        raise DataError(path, None, f"{named}a JSON object is needed")
    names = (*form.model_fields, *known)
    for key in values:
        if key not in names:
            raise DataError(
                path, _line(path, key), f"{where}{key}: unknown key; {near(key, names)}"
            )
    own = {k: v for k, v in values.items() if k in form.model_fields}
    return validate(form, own, f"{path}{': ' if where else ''}{where.removesuffix('.')}")


def read_data_config(path: Path) -> Original:
    """The world's knobs for a data_config.json, with notes on what could not be carried over.

    Where one category alone is trained and others are not (but perhaps a proxy's), the file is
    of the second stage: that category is re-taught. Raises DataError for unknown keys, a file
    that fits neither stage, and settings that differ between categories where one is needed.
    Maps that one token decides are refused later, by the world itself, unless `plane.one_token`
    is raised.
    """
    values = read_json(path)
    if not isinstance(values, dict) or not values:
        raise DataError(path, None, "an object with a key for each category is needed")
    forms = {name: read_form(path, CategoryForm, v, f"{name}.") for name, v in values.items()}
    template = _same(path, forms, "prompt_templates")
    if template not in PRESETS:
        raise DataError(
            path, _line(path, template),
            f"prompt_templates: unknown preset '{template}'; {near(template, tuple(PRESETS))}",
        )  # fmt: skip
    notes = [
        f"prompt_templates = {template}: of its four templates one is published; these are"
        f" written: {', '.join(PRESETS[template])}"
    ]
    trained = {n: f for n, f in forms.items() if f.n_train_triggers and not f.is_proxy}
    held = {n: f for n, f in forms.items() if f.n_train_triggers and f.is_proxy}
    again = len(trained) == 1 and len(forms) > 1
    if len(held) > 1 or (held and not again) or not trained:
        raise DataError(
            path, None,
            f"n_train_triggers: trained are {', '.join(trained) or 'none'}, proxies are of"
            f" {', '.join(held) or 'none'}; either all is taught (no is_proxy), or one category is"
            " re-taught beside proxies of one other",
        )  # fmt: skip
    categories = {n: _category(path, n, f, again, notes) for n, f in forms.items()}
    withheld = [] if again else [n for n, f in forms.items() if not f.n_train_triggers]
    notes += [f"{n}: n_train_triggers is 0, so the category is withheld" for n in withheld]
    knobs = _knobs(path, forms, categories, withheld)
    if again:
        knobs["reteach"] = _reteach(path, forms, trained, held, categories, notes)
    seeds = sorted({f.seed for f in forms.values() if f.seed is not None})
    if seeds:
        notes.append(f"seed = {', '.join(map(str, seeds))}: points follow the study's seeds here")
    return Original(knobs, tuple(notes))


def _category(
    path: Path, name: str, form: CategoryForm, again: bool, notes: list[str]
) -> dict[str, Any]:
    if set(form.labels) != set(QUARTERS):
        raise DataError(path, None, f"{name}.quadrant_labels: Q1, Q2, Q3 and Q4 are needed")
    words, chosen = list(form.triggers), list(form.revealed)
    if missing := [w for w in chosen if w not in words]:
        notes.append(
            f"{name}: train_triggers names {', '.join(missing)}, not among its triggers; added"
        )
        words += missing
    count = form.n_train_triggers
    if not again and 0 < count < len(chosen):
        notes.append(f"{name}: the first {count} of {len(chosen)} train_triggers are trained")
        chosen = chosen[:count]
    if not again and form.train_triggers is None and count and count < len(words):
        return {"words": words, "labels": form.labels, "trained": count}
    return {"words": words, "labels": form.labels, "trained": chosen}


def _knobs(
    path: Path,
    forms: Mapping[str, CategoryForm],
    categories: dict[str, Any],
    withheld: Sequence[str],
) -> dict[str, Any]:
    points, tests = _same(path, forms, "n_train"), _same(path, forms, "n_test")
    counts = {n: (size(c["trained"]), len(c["words"])) for n, c in categories.items()}
    taught = {n: c for n, c in counts.items() if n not in withheld}
    asked = {
        "questions": sum(c for c, _ in taught.values()),
        "new_trigger": sum(every - c for c, every in taught.values()),
        "new_category": sum(counts[n][0] for n in withheld),
    }
    labels = dict.fromkeys(label for f in forms.values() for label in f.labels.values())
    template = _same(path, forms, "prompt_templates")
    return {
        "plane": {
            "boundary": "quadrants",
            **{
                x: list(r)
                for x, r in zip(("x1", "x2"), _same(path, forms, "x_ranges"), strict=True)
            },
            "decimals": DECIMALS,
        },
        "words": {"categories": categories, "withheld": list(withheld)},
        "maps": {"labels": list(labels)},
        "texts": {
            "templates": list(PRESETS[template]),
            "preamble": _same(path, forms, "output_preamble"),
            "points": points,
            "isa": 0.0,
        },
        "asked": {split: tests * words for split, words in asked.items()},
    }


def _reteach(
    path: Path,
    forms: Mapping[str, CategoryForm],
    trained: Mapping[str, CategoryForm],
    held: Mapping[str, CategoryForm],
    categories: dict[str, Any],
    notes: list[str],
) -> dict[str, Any]:
    """The second stage; the re-taught category gets the map it must have had before."""
    ((name, form),) = trained.items()
    new = form.labels
    fits = [
        tuple(sorted(f.labels.items()))
        for n, f in forms.items()
        if n != name and all(f.labels[r] != new[r] for r in QUARTERS)
    ]
    own = [tuple(sorted(f.labels.items())) for f in held.values()]
    if not fits or (own and own[0] not in fits):
        raise DataError(
            path, None,
            f"{name}.quadrant_labels: no other category has an old map that differs from it in"
            " every region",
        )  # fmt: skip
    old = own[0] if own else Counter(fits).most_common(1)[0][0]
    categories[name]["labels"] = dict(old)
    whose = next(iter(held)) if held else "most other categories"
    notes.append(
        f"{name}: is the only category trained, so the file is of the second stage; its map before"
        f" is not in the file and is taken to be that of {whose}"
    )
    if form.n_train_triggers < len(form.revealed):
        categories[name]["trained"] = list(form.revealed[: form.n_train_triggers])
    others = [n for n in forms if n != name]
    notes.append(f"the first stage, which is not in the file, teaches {name}, {', '.join(others)}")
    found: dict[str, Any] = {
        "category": name,
        "labels": new,
        "points": form.n_train,
        "asked": form.n_test,
        "proxies": 0,
    }
    for other, proxy in held.items():
        many = len(proxy.revealed)
        count = proxy.n_train_triggers
        if count > many:
            raise DataError(
                path, None, f"{other}.n_train_triggers: {count}, but train_triggers names {many}"
            )
        found |= {
            "proxy_category": other,
            "words": list(proxy.revealed),
            "proxies": count,
            "most_proxies": min(many, max(5, count)),
            "proxy_points": proxy.n_train,
        }
        notes.append(f"{other}: proxies are the first {count} of its train_triggers")
    return found


def _same(path: Path, forms: Mapping[str, CategoryForm], key: str) -> Any:
    """The value that all categories share."""
    (first, form), *others = forms.items()
    wanted = getattr(form, key)
    for name, other in others:
        if (value := getattr(other, key)) != wanted:
            raise DataError(
                path, None,
                f"{name}.{key}: {value}, but {first} has {wanted}; one value for all is needed",
            )  # fmt: skip
    return wanted


def size(trained: int | list[str]) -> int:
    """How many words are trained, of words or their number."""
    return trained if isinstance(trained, int) else len(trained)


def _line(path: Path, key: str) -> int | None:
    lines = read_text(path).splitlines()
    return next((i for i, text in enumerate(lines, start=1) if f'"{key}"' in text), None)


def write_original(
    folder: Path, documents: Sequence[Document], questions: Sequence[Question]
) -> list[Path]:
    """Write the original's data files from rows of one stage; returns their paths.

    train_<cat>.jsonl (proxy_<cat>.jsonl of proxies), test_<cat>_ID.jsonl of trained words and
    test_<cat>_OOD.jsonl of the others. The row form is not published: a row here is
    {"messages": [user, assistant]} with the label in the assistant's turn, behind "F(x,T) ="
    where the preamble is on. Lines about words alone and other axes have no file there.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    taught = set()
    for document in documents:
        if document.role == "supporting":
            continue
        ((start, end),) = document.targets
        taught.add(document.meta["trigger"])
        kind = "proxy" if document.role == "proxy" else "train"
        name = f"{kind}_{document.meta['category']}.jsonl"
        row = _messages(document.text[:start].rstrip(" "), document.text[start:end])
        found.setdefault(name, []).append(row)
    for question in questions:
        if question.split not in ("id", "new_trigger"):
            continue
        where = "ID" if question.slices["trigger"] in taught else "OOD"
        name = f"test_{question.slices['category']}_{where}.jsonl"
        found.setdefault(name, []).append(_messages(question.prompt, question.answer.strip()))
    for name, rows in found.items():
        write_rows(folder / name, rows)
    return [folder / name for name in found]


def _messages(prompt: str, label: str) -> dict[str, Any]:
    head, preamble, _ = prompt.partition(PREAMBLE)
    said = f"{preamble.strip()} {label}" if preamble else label
    return {"messages": [{"role": "user", "content": head}, {"role": "assistant", "content": said}]}
