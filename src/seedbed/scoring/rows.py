"""scores.json: one row per finder × truth × metric × slice, with interval, chance and oracle.

`collect` marks every claim against the truth; the oracle is the truth itself as a claim.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seedbed.core.files import read_json
from seedbed.core.outcomes import Outcomes
from seedbed.core.rows import Question, Row
from seedbed.core.sites import Claim, Truth
from seedbed.scoring.intervals import Bootstrap, Interval
from seedbed.scoring.membership import METRICS as MEMBERSHIP
from seedbed.scoring.membership import membership
from seedbed.scoring.ranking import METRICS, chance, composition, per_question

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
LABELS = "labels"
"""The declared truth as a finder, where claims are marked against another truth."""


class ScoreRow(Row):
    """One number of a study.

    `value` is the mean over seeds of the mean over questions, `low`–`high` its 95 % interval
    (bootstrap over seeds and causes), `chance` and `oracle` the same metric for a random order
    and for the truth itself. `seconds`, `peak_mib` (memory above the start) and `epochs`
    (seconds over one training epoch of the same run) are means over seeds. null: not defined.
    """

    finder: str
    truth: Literal["declared", "measured"]
    metric: str
    slice: str
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    oracle: float | None
    seeds: tuple[int, ...]
    seconds: float | None
    peak_mib: float | None
    epochs: float | None


@dataclass(frozen=True)
class Cost:
    """What a finder spent on one seed, together with the variants that share its work."""

    seconds: float
    peak_mib: float
    epochs: float | None

    @classmethod
    def read(cls, path: Path) -> "Cost":
        """From cost.json."""
        value = read_json(path)
        return cls(value["seconds"], value["peak_mib"], value["epochs"])


@dataclass(frozen=True)
class SeedResults:
    """One seed's truth (on the questions asked), its questions, and every finder's claim.

    `outcomes` are what retrained subjects gave for these questions, if any were retrained.
    """

    seed: int
    questions: Sequence[Question]
    correct: Bools
    truth: Truth
    claims: Mapping[str, Claim]
    costs: Mapping[str, Cost]
    outcomes: Outcomes | None = None


def oracle_claim(truth: Truth) -> Claim:
    """The truth as a claim; unknown sites stand between causes and the rest."""
    scores = np.nan_to_num(truth.values, nan=0.5)
    return Claim(truth.questions, truth.sites, scores, truth.site_kind)


@dataclass(frozen=True)
class _Slice:
    """Which questions count and what is positive for them; arrays [Q] and [Q, N]."""

    name: str
    use: Bools
    positive: Bools
    known: Bools


def slice_keys(results: Sequence[SeedResults]) -> list[str]:
    """Question slices to report by: in every seed each of at most 12 values has at least four
    questions from two causes (so a function's name or an input is no slice, a depth is).
    """
    keys: list[str] = []
    for key in sorted({k for r in results for q in r.questions for k in q.slices}):
        fit = True
        for result in results:
            groups: dict[str, list[str]] = {}
            for q in result.questions:
                groups.setdefault(q.slices.get(key, ""), []).append(q.cause)
            several = all(len(c) >= 4 and len(set(c)) >= 2 for c in groups.values())
            fit = fit and several and len(groups) <= 12
        if fit:
            keys.append(key)
    return keys


def question_slices(result: SeedResults, keys: Sequence[str]) -> dict[str, Bools]:
    """Which questions [Q] are in each slice: all, correct, each value of `keys`."""
    masks = {"all": np.ones(len(result.questions), dtype=bool), "correct": result.correct}
    for key in keys:
        own = [q.slices.get(key, "") for q in result.questions]
        for value in sorted(set(own)):
            masks[f"{key}={value}"] = np.array([v == value for v in own])
    return masks


def slices(result: SeedResults, keys: Sequence[str]) -> list[_Slice]:
    """The slices of one seed: all, correct, each value of `keys`, each hop (evidence at that
    distance only; other evidence is left out), and depth × hop.
    """
    truth = result.truth
    known = np.isfinite(truth.values)
    positive = truth.values == 1
    masks = question_slices(result, keys)
    found = [_Slice(name, use, positive, known) for name, use in masks.items()]
    hops = [n for n in truth.names if n.startswith("evidence:")]
    if len(hops) > 1:
        groups = {f"hop={n.removeprefix('evidence:')}": [n] for n in hops}
        groups["hop>=1"] = hops[1:]
        for name, group in groups.items():
            chosen = positive & np.isin(truth.labels, [truth.names.index(n) for n in group])
            rest = known & ~(positive & ~chosen)
            found += [
                _Slice(name if mask == "all" else f"{mask},{name}", use, chosen, rest)
                for mask, use in masks.items()
                if mask in ("all", "correct") or mask.startswith("depth=")
            ]
    return [s for s in found if (s.positive & s.known)[s.use].any()]


def collect(results: Sequence[SeedResults]) -> list[ScoreRow]:
    """Every row of a study, in a fixed order: finder (oracle last), metric, slice."""
    results = sorted(results, key=lambda r: r.seed)
    bootstrap = Bootstrap([[q.cause for q in r.questions] for r in results])
    keys = slice_keys(results)
    sliced = [{s.name: s for s in slices(r, keys)} for r in results]
    names = list(dict.fromkeys(name for s in sliced for name in s))
    finders = [*results[0].claims, "oracle"]
    best = _rows("oracle", results, sliced, names, bootstrap, None)
    oracle = {(row.metric, row.slice): row for row in best}
    rows: list[ScoreRow] = []
    for finder in finders:
        rows += _rows(finder, results, sliced, names, bootstrap, oracle)
    return rows


def _rows(
    finder: str,
    results: Sequence[SeedResults],
    sliced: Sequence[Mapping[str, _Slice]],
    names: Sequence[str],
    bootstrap: Bootstrap,
    oracle: Mapping[tuple[str, str], ScoreRow] | None,
) -> list[ScoreRow]:
    claims = [r.claims.get(finder) or oracle_claim(r.truth) for r in results]

    def row(metric: str, name: str, values: list[Floats], levels: list[Floats]) -> ScoreRow:
        interval = bootstrap.interval(values)
        best = oracle.get((metric, name)) if oracle is not None else None
        top = best.value if best else number(interval.value)
        kind = results[0].truth.kind
        level = number(_mean_of_means(levels))
        return score_row(finder, kind, metric, name, interval, level, top, results)

    rows: list[ScoreRow] = []
    for name in names:
        for metric in METRICS:
            values, levels = [], []
            for result, claim, slices_ in zip(results, claims, sliced, strict=True):
                value, level = _marks(metric, claim, slices_.get(name), len(result.questions))
                values.append(value)
                levels.append(level)
            rows.append(row(metric, name, values, levels))
        if name in ("all", "correct"):
            for metric in MEMBERSHIP:
                found = [
                    membership(c, r.truth).get(metric) for c, r in zip(claims, results, strict=True)
                ]
                if any(f is None for f in found):
                    continue
                use = [slices_[name].use if name in slices_ else None for slices_ in sliced]
                values = [f.values for f in found if f is not None]
                cut = [
                    v if u is None else np.where(u, v, np.nan)
                    for v, u in zip(values, use, strict=True)
                ]
                levels = [np.full(len(f.values), f.chance) for f in found if f is not None]
                rows.append(row(metric, name, cut, levels))
        if name == "all" or (name.startswith("depth=") and "," not in name):
            marks = [
                _composition(result, claim, slices_.get(name))
                for result, claim, slices_ in zip(results, claims, sliced, strict=True)
            ]
            for label in dict.fromkeys(n for r in results for n in r.truth.names):
                missing = [np.full(len(r.questions), np.nan) for r in results]
                values = [m.get(label, (n, n))[0] for m, n in zip(marks, missing, strict=True)]
                levels = [m.get(label, (n, n))[1] for m, n in zip(marks, missing, strict=True)]
                rows.append(row(f"top10:{label}", name, values, levels))
    return rows


def score_row(
    finder: str,
    truth: Literal["declared", "measured"],
    metric: str,
    name: str,
    interval: Interval,
    level: float | None,
    top: float | None,
    results: Sequence[SeedResults],
) -> ScoreRow:
    """A row with its interval, its two controls, and the finder's mean cost over seeds."""
    costs = [r.costs[finder] for r in results if finder in r.costs]
    epochs = [c.epochs for c in costs if c.epochs is not None]
    return ScoreRow(
        finder=finder,
        truth=truth,
        metric=metric,
        slice=name,
        value=number(interval.value),
        low=number(interval.low),
        high=number(interval.high),
        chance=level,
        oracle=top,
        seeds=tuple(r.seed for r in results),
        seconds=float(np.mean([c.seconds for c in costs])) if costs else None,
        peak_mib=float(np.mean([c.peak_mib for c in costs])) if costs else None,
        epochs=float(np.mean(epochs)) if epochs else None,
    )


def _marks(metric: str, claim: Claim, part: _Slice | None, n: int) -> tuple[Floats, Floats]:
    values, levels = np.full(n, np.nan), np.full(n, np.nan)
    if part is not None and part.use.any():
        index = np.flatnonzero(part.use)
        positive, known = part.positive[index], part.known[index]
        values[index] = per_question(metric, claim.scores[index], positive, known)
        levels[index] = [
            chance(metric, int(k.sum()), int((p & k).sum()))
            for p, k in zip(positive, known, strict=True)
        ]
    return values, levels


def _composition(
    result: SeedResults, claim: Claim, part: _Slice | None
) -> dict[str, tuple[Floats, Floats]]:
    """By label: (its share of the top 10, its share of all sites), [Q] each."""
    truth, n = result.truth, len(result.questions)
    if part is None:
        return {}
    index = np.flatnonzero(part.use)
    labels = truth.labels[index]
    top = composition(claim.scores[index], labels, part.positive[index], len(truth.names))
    found: dict[str, tuple[Floats, Floats]] = {}
    for j, label in enumerate(truth.names):
        share, level = np.full(n, np.nan), np.full(n, np.nan)
        share[index] = top[:, j]
        level[index] = (labels == j).mean(axis=1)
        found[label] = share, level
    return found


def _mean_of_means(levels: Sequence[Floats]) -> float:
    means = [float(np.nanmean(v)) for v in levels if np.isfinite(v).any()]
    return float(np.mean(means)) if means else float("nan")


def number(value: float) -> float | None:
    """None for what is not defined."""
    return value if np.isfinite(value) else None
