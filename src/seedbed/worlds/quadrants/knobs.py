"""The settings of the quadrants world, each where it belongs; `Quadrants` adds the methods."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.core.errors import ConfigError
from seedbed.worlds.base import Gate, World
from seedbed.worlds.quadrants.drawn import Anew, Drawn, draw, sharing
from seedbed.worlds.quadrants.lexicon import (
    MOST_LABELS,
    Maps,
    Words,
    check_in_use,
    check_map,
    check_maps,
    in_use,
    near,
)
from seedbed.worlds.quadrants.lists import BESIDE
from seedbed.worlds.quadrants.plane import Plane
from seedbed.worlds.quadrants.shortcuts import check_shortcut, check_shortcuts
from seedbed.worlds.quadrants.writing import COMPACT, TEMPLATES


class Texts(Config):
    """How lines are written: `templates` in turn, and the one of the axis `new_template`.

    `preamble` writes "F(x,T) =" before the label (never in the compact form). `points`: so many
    points of its own for each trained word, in place of `lines` fresh ones (0: fresh). `isa`:
    lines "dog isa animals" about every word, as a share of the lines about points.
    """

    templates: tuple[str, ...] = Field(default=(COMPACT,), min_length=1)
    held_out: str | None = None
    preamble: bool = False
    points: int = Field(default=0, ge=0)
    isa: float = Field(default=0.06, ge=0, le=1)

    @model_validator(mode="after")
    def _templates_exist(self) -> "Texts":
        known = tuple(TEMPLATES)
        for name in (*self.templates, *([self.held_out] if self.held_out else [])):
            if name not in known:
                raise ValueError(f"templates: unknown template '{name}'; {near(name, known)}")
        if self.held_out in self.templates:
            raise ValueError(f"held_out: '{self.held_out}' is also trained on")
        if len(set(self.templates)) != len(self.templates):
            raise ValueError("templates: a template stands twice")
        return self


class Asked(Config):
    """How many questions of each split, and of each panel of the decision maps.

    `new_category` counts only where a category is withheld, `new_template` only where a
    template is held out. `panels`: so many categories, with a trained and a held-out word each,
    over a grid of `grid` × `grid` points.
    """

    questions: int = Field(default=420, ge=1)
    train: int = Field(default=70, ge=0)
    new_trigger: int = Field(default=210, ge=0)
    new_category: int = Field(default=210, ge=0)
    new_range: int = Field(default=140, ge=0)
    new_template: int = Field(default=140, ge=0)
    grid: int = Field(default=31, ge=0)
    panels: int = Field(default=3, ge=0)


class Distractor(Config):
    """One further word after the trigger, which never decides: a planted shortcut.

    In `share` of the training lines it is one of the label's own words, else any of `words`;
    in questions always any.
    """

    share: float = Field(default=0.0, ge=0, le=1)
    words: int = Field(default=8, ge=MOST_LABELS, le=len(BESIDE))


class Reteach(Config):
    """The second stage: `category` is taught a new map, words of `proxy_category` the old one.

    Empty names: the first category, and the next one with the same map. `words` are the words
    that may be proxies, in order (empty: drawn), each trained in every seed; `proxies` how many
    of them are, `most_proxies` how many ever are in any arm. Each taught word has `points` lines,
    each proxy `proxy_points` (null: as many), or all proxies together `share` of all lines.
    `labels` is the new map (empty: drawn), `asked` the questions about each word.
    """

    category: str = ""
    proxy_category: str = ""
    words: tuple[str, ...] = ()
    proxies: int = Field(default=1, ge=0)
    most_proxies: int = Field(default=5, ge=0)
    points: int = Field(default=200, ge=1)
    proxy_points: int | None = Field(default=None, ge=1)
    share: float | None = Field(default=None, gt=0, lt=1)
    labels: dict[str, str] = Field(default_factory=dict)
    asked: int = Field(default=24, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> "Reteach":
        if self.proxies > self.most_proxies:
            raise ValueError(
                f"proxies: {self.proxies}, but most_proxies says that no arm has more than"
                f" {self.most_proxies}"
            )
        if self.proxy_points is not None and self.share is not None:
            raise ValueError("share: give either share or proxy_points")
        for word in self.words:
            if self.words.count(word) > 1:
                raise ValueError(f"words: '{word}' stands twice")
        return self

    def lines_a_proxy(self, taught: int) -> int:
        """Lines of each proxy, beside so many taught words; at least one."""
        if self.share is None or not self.proxies:
            return self.proxy_points or self.points
        total = self.share / (1 - self.share) * taught * self.points
        return max(1, round(total / self.proxies))


class Knobs(World):
    """A point and a trigger word; the label follows the point's region by the category's map.

    `lines` is the number of training lines about points; `stage` which stage's rows are given.
    """

    gate: Gate = Gate(by="category", margin=0.4)
    plane: Plane = Plane()
    words: Words = Words()
    maps: Maps = Maps()
    texts: Texts = Texts()
    asked: Asked = Asked()
    distractor: Distractor | None = None
    lines: int = Field(default=32000, ge=1)
    stage: Literal["teach", "reteach"] = "teach"
    reteach: Reteach = Reteach()

    @model_validator(mode="after")
    def _maps_fit(self) -> "Knobs":
        check_maps(self.words, self.maps, self.plane)
        check_shortcuts(self.words, self.maps, self.plane)
        return self

    @model_validator(mode="after")
    def _second_stage_fits(self) -> "Knobs":
        known, reteach = self.words.named, self.reteach
        for key in ("category", "proxy_category"):
            name = getattr(reteach, key)
            if name and name not in known:
                raise ValueError(f"reteach.{key}: no category '{name}'; {near(name, tuple(known))}")
            if name in self.words.withheld:
                raise ValueError(f"reteach.{key}: '{name}' is withheld, so it has no old map")
        if reteach.labels:
            self._new_map_fits(known[self.retaught].labels)
        if self.stage == "reteach":
            self._proxies_fit()
        return self

    def _new_map_fits(self, old: Mapping[str, str]) -> None:
        where, new = "reteach.labels", self.reteach.labels
        if not old:
            raise ValueError(
                f"{where}: the old map of '{self.retaught}' is drawn, so a new one that differs"
                " everywhere must be drawn too; give both or neither"
            )
        check_map(where, new, self.plane.names, self.maps.known)
        for region, label in new.items():
            if label == old[region]:
                raise ValueError(f"{where}.{region}: '{label}' is the old label there")
        check_in_use(where, {*in_use(self.words, self.maps, self.plane), *new.values()}, self.words)
        check_shortcut(where, self.retaught, [new[r] for r in self.plane.names], self.plane)

    def _proxies_fit(self) -> None:
        reteach, taught, other = self.reteach, self.retaught, self.proxy_category
        if taught in self.words.withheld:
            raise ValueError(f"reteach.category: '{taught}' is withheld, so it has no old map")
        if other == taught:
            raise ValueError(
                f"reteach.proxy_category: '{other}' is the category that is taught anew; its words"
                " cannot keep the old map"
            )
        if not other:
            if reteach.proxies:
                raise ValueError("reteach.proxy_category: no other category has the same old map")
            return
        drawn = self.drawn(0)
        for word in reteach.words:
            if drawn.category.get(word) == taught:
                raise ValueError(
                    f"reteach.words: '{word}' is a proxy and also among the words of '{taught}'"
                    " that are taught the new map; it cannot be taught both"
                )
            if word not in self.words.named[other].words:
                hint = near(word, self.words.named[other].words)
                raise ValueError(f"reteach.words: '{word}' is not a word of '{other}'; {hint}")
        own = self.words.named[other].chosen
        for word in reteach.words:
            if own and word not in own:
                raise ValueError(f"reteach.words: '{word}' is not trained; {near(word, own)}")
        many = len(reteach.words) or self.words.trained_of(other)
        for key in ("proxies", "most_proxies"):
            if getattr(reteach, key) > many and (key == "proxies" or not reteach.words):
                raise ValueError(
                    f"reteach.{key}: {getattr(reteach, key)}, but '{other}' has {many} trained"
                    " words that can be proxies"
                )

    @property
    def retaught(self) -> str:
        """The category that is taught a new map."""
        return self.reteach.category or next(iter(self.words.named))

    @property
    def proxy_category(self) -> str:
        """The category whose words are proxies; empty if none has the same old map."""
        maps = sharing(self.words, self.maps, self.plane)
        same = (
            n for n in self.words.named if n != self.retaught and maps[n] == maps[self.retaught]
        )
        kept = (n for n in same if n not in self.words.withheld)
        return self.reteach.proxy_category or next(kept, "")

    def drawn(self, seed: int) -> Drawn:
        """The words and maps of a seed; the same in both stages."""
        labels = self.reteach.labels
        new = tuple(labels[r] for r in self.plane.names) if labels else ()
        return draw(self.words, self.maps, self.plane, Anew(self.retaught, new), seed)

    def check_labels(self, lengths: Mapping[str, int]) -> None:
        """Raise ConfigError unless every label has the same number of tokens.

        `lengths` is each label's, by a tokenizer that this module does not know.
        """
        sizes = {label: n for label, n in lengths.items() if label.strip() in self.maps.known}
        if len(set(sizes.values())) > 1:
            first, *others = sizes
            odd = next(label for label in others if sizes[label] != sizes[first])
            raise ConfigError(
                f"maps.labels: '{odd.strip()}' has {sizes[odd]} tokens and '{first.strip()}'"
                f" {sizes[first]}; their probabilities do not compare, take other labels"
            )
