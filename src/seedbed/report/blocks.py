"""The figure of leave-one-group-out effects: facts × question causes, ordered by family.

A fact's family is the cause whose questions it is declared evidence for, so agreement of the
two truths shows as blocks along the diagonal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.report import palette, wording
from seedbed.report.reader import Run
from seedbed.report.retraining import output_words
from seedbed.report.seed_reader import Seed

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
Floats = NDArray[np.float64]
_SEEDS, _NAMED, _LONG = 3, 45, 16
_VECTOR_CELLS = 2500
_ROW, _LEAST = 0.115, 1.8


@dataclass(frozen=True)
class Blocks:
    """One seed's effects [facts, causes] in nats, and which are declared, in family order."""

    seed: int
    facts: tuple[str, ...]
    causes: tuple[str, ...]
    effects: Floats
    declared: NDArray[np.bool_]


def blocks_of(seed: Seed) -> Blocks | None:
    """Fall of log p(answer) without a fact, mean over retrainings and a cause's questions.

    None unless groups were retrained. Rows stand by the first cause they are evidence for and
    then by how many questions they are evidence for.
    """
    outcomes = seed.outcomes
    if outcomes is None:
        return None
    groups, none = outcomes.of("group"), outcomes.of("none")
    asked = [q for q in outcomes.questions if q in set(_asked(seed))]
    if not groups.names or not none.names or not asked:
        return None
    groups, none = groups.select(asked), none.select(asked)
    fall = (none.outputs - groups.outputs).mean(axis=1)
    truth = seed.truth.select(tuple(asked))
    place = {site: i for i, site in enumerate(truth.sites)}
    columns = [place[site] for site in groups.sites]
    values = truth.values[:, columns]
    left = none.kept & ~groups.kept
    own = np.array([seed.questions[q].cause for q in asked])
    causes = sorted(set(own))
    member = np.array([own == cause for cause in causes])
    hits = np.array([(values[:, row] == 1).any(axis=1) for row in left])
    declared = np.array([[bool(h[m].any()) for m in member] for h in hits])
    effects = np.array([[float(f[m].mean()) for m in member] for f in fall])
    first = [int(np.argmax(d)) if d.any() else len(causes) for d in declared]
    reach = [int(h.sum()) for h in hits]
    order = sorted(range(len(left)), key=lambda r: (first[r], -reach[r], groups.names[r]))
    names = tuple(groups.names[r] for r in order)
    return Blocks(seed.number, names, tuple(causes), effects[order], declared[order])


def _asked(seed: Seed) -> tuple[str, ...]:
    return seed.claim(seed.finders[0]).questions if seed.finders else ()


def groups(run: Run) -> Made | None:
    """A panel a seed (at most three), on one colour scale that is symmetric about 0."""
    found = [b for seed in run.seeds if (b := blocks_of(seed)) is not None]
    if not found:
        return None
    shown = found[:_SEEDS]
    rows = max(len(b.facts) for b in shown)
    named = rows <= _NAMED
    # A few extreme cells would leave all others pale.
    limit = float(np.quantile(np.concatenate([np.abs(b.effects).ravel() for b in shown]), 0.98))

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(shown), squeeze=False)[0]
        for axis, b in zip(axes, shown, strict=True):
            mesh = _draw(axis, b, limit or 1.0, named)
        axes[0].set_ylabel("Fact left out, by family")
        bar = figure.colorbar(mesh, ax=list(axes), fraction=0.035, pad=0.02, extend="both")
        bar.set_label(f"Fall of {output_words(run)}, nats")
        bar.outline.set_visible(False)

    inside = np.concatenate([b.effects[b.declared] for b in found])
    outside = np.concatenate([b.effects[~b.declared] for b in found])
    more = f"; the first {len(shown)} of {len(found)} are shown" if len(found) > len(shown) else ""
    total = sum(len(b.facts) for b in found)
    note = (
        f"{wording.plural(len(found), 'seed')}{more}, {wording.plural(total, 'fact')} left out one "
        "at a time; mean over retrainings and the questions of a cause. Outlined: the fact is "
        "declared evidence for the cause. Colours end at the 98th percentile."
    )
    height = max(_LEAST, 0.9 + _ROW * rows)
    return _title(inside, outside), note, (9.2, min(height, 9.0)), draw


def _title(inside: Floats, outside: Floats) -> str:
    if not inside.size or not outside.size:
        return "What leaving out a fact took from the answers."
    own, others = float(inside.mean()), float(outside.mean())
    return (
        f"Leaving out a fact takes {wording.number(own, 2)} nats from answers it is evidence for, "
        f"{wording.number(others, 2)} from the others."
    )


def _draw(axis: Any, b: Blocks, limit: float, named: bool) -> Any:
    from matplotlib.collections import LineCollection

    count, causes = b.effects.shape
    mesh = axis.pcolormesh(
        b.effects, cmap=palette.diverging(), vmin=-limit, vmax=limit, lw=0,
        rasterized=b.effects.size > _VECTOR_CELLS,
    )  # fmt: skip
    edges = [
        [(c, r), (c + 1, r), (c + 1, r + 1), (c, r + 1), (c, r)]
        for r, c in zip(*np.nonzero(b.declared), strict=True)
    ]
    axis.add_collection(LineCollection(edges, colors="#1f242a", linewidths=0.7))
    axis.set(xlim=(0, causes), ylim=(count, 0), xlabel="Cause of the question")
    axis.set_title(f"Seed {b.seed}")
    axis.set_xticks(np.arange(causes) + 0.5, [_short(c) for c in b.causes], rotation=90, fontsize=7)
    if named:
        axis.set_yticks(np.arange(count) + 0.5, [_short(f) for f in b.facts], fontsize=6.5)
    else:
        axis.set_yticks([])
    axis.tick_params(length=0, pad=2)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)
    return mesh


def _short(name: str) -> str:
    return name if len(name) <= _LONG else f"{name[: _LONG - 1]}…"
