"""The data behind the page: every number's questions, and every question's documents.

Compact JSON: documents stand once a seed and only if a list names them.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core.errors import DataError
from seedbed.core.rows import Question
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.report import mediation, palette, wording
from seedbed.report.columns import TRAINED, main_columns, prices
from seedbed.report.leading import DECLARED, DROP, called, top_name
from seedbed.report.reader import Run
from seedbed.report.schema import CONTROLS, ORACLE, Answer
from seedbed.report.seed_reader import Seed
from seedbed.report.slices import TOP, Slice, evidence, orders, values_by_metric
from seedbed.scoring.rows import oracle_claim

_TEXT_BUDGET = 4_000_000
_CUTS = (4000, 2000, 1000, 500, 250, 120)
_QUESTIONS = 500


def payload(run: Run) -> dict[str, Any]:
    """Everything that the page's script shows, as JSON-able values."""
    wanted = _wanted(run)
    seeds = [_seed(run, seed, wanted) for seed in run.seeds]
    return {
        "name": run.name,
        "noun": run.noun,
        "truths": run.truths,
        "metrics": run.metrics,
        "slices": run.slices,
        "columns": {t: _columns(run, t) for t in run.truths},
        "words": {m: wording.metric(m) for m in run.metrics},
        "meaning": {m: wording.meaning(m) for m in run.metrics},
        "sliceWords": {
            s: wording.slice_words(s) for s in (*run.slices, *(row.slice for row in run.gate))
        },
        "finders": {t: [*run.finders(t), *run.controls(t)] for t in run.truths},
        "controls": CONTROLS,
        "called": {t: {c: called(c, t) for c in CONTROLS} for t in run.truths},
        "tops": {t: {m: top_name(t, m) for m in run.metrics_of(t)} for t in run.truths},
        "spans": {m: _span(run, m) for m in run.metrics},
        "rows": _score_rows(run),
        "costs": {t: _costs(run, t) for t in run.truths},
        "colours": _colours(run),
        "keys": _keys(run),
        "textLimit": _cut_texts(seeds),
        "seeds": seeds,
    }


def _columns(run: Run, truth: str) -> dict[str, list[list[str]]]:
    """By slice, the columns of the main table: metric, slice, heading."""
    return {
        s: [
            [c.metric, c.slice, wording.metric(c.metric) if c.slice == s else c.label]
            for block in main_columns(run, truth, s)
            for c in block
        ]
        for s in run.slices
    }


def _costs(run: Run, truth: str) -> dict[str, dict[str, float | None]]:
    return {row.finder: prices(row) for row in run.scores if row.truth == truth}


def _span(run: Run, metric: str) -> list[float]:
    """What the strip beside a number covers: 0 to 1, or more where intervals reach further."""
    rows = [r for r in run.scores if r.metric == metric]
    low = min([0.0, *(r.low for r in rows if r.low is not None)])
    high = max([0.0, *(r.high for r in rows if r.high is not None)])
    return [float(f"{low:.3g}"), 1.0 if high <= 1 and _is_share(metric) else float(f"{high:.3g}")]


def _is_share(metric: str) -> bool:
    return not metric.startswith(DROP) and metric != "trained_gap"


def _score_rows(run: Run) -> list[list[Any]]:
    return [
        [r.finder, r.truth, r.metric, r.slice, *map(_short, (r.value, r.low, r.high, r.chance)),
         _short(r.oracle), r.standing]
        for r in run.scores
    ]  # fmt: skip


def _wanted(run: Run) -> dict[str, list[str]]:
    """The metrics that a question's ranking has, for each hop condition ("" = all evidence)."""
    wanted: dict[str, set[str]] = {}
    for row in run.scores:
        if row.truth != DECLARED or row.metric in TRAINED:
            continue
        wanted.setdefault(Slice.parse(row.slice).hop, set()).add(row.metric)
    return {hop: sorted(metrics) for hop, metrics in sorted(wanted.items())}


def _keys(run: Run) -> list[str]:
    """The question slices worth a column: those that the scores or the gate report by."""
    names = [*run.slices, *(row.slice for row in run.gate)]
    keys = [key for name in names for key, _ in Slice.parse(name).wanted]
    return list(dict.fromkeys(keys))


def _colours(run: Run) -> dict[str, list[str]]:
    names: dict[str, None] = {}
    if not run.stopped:
        for seed in run.seeds:
            names.update(dict.fromkeys(seed.truth.names))
    chosen = palette.roles(names)
    return {name: [colour, palette.readable_on(colour)] for name, colour in chosen.items()}


def _seed(run: Run, seed: Seed, wanted: dict[str, list[str]]) -> dict[str, Any]:
    names = [f for f in seed.finders if any(r.finder == f for r in run.scores)]
    claims = {name: seed.claim(name) for name in names}
    asked = next(iter(claims.values())).questions if claims else ()
    if claims and ORACLE not in claims:
        claims[ORACLE] = oracle_claim(seed.truth.select(asked))
    for name, claim in claims.items():
        if claim.questions != asked:
            where = seed.path / f"find-{name}" / "claim.npz"
            raise DataError(where, None, "asks other questions than the other finders of this seed")
    texts = _Texts(seed)
    found: dict[str, Any] = {"seed": seed.number, "claims": {}, "evidence": []}
    if claims:
        truth = seed.truth.select(asked)
        positive, _ = evidence(truth)
        hits = [np.flatnonzero(row) for row in positive]
        found["evidence"] = [
            [[texts.index(truth.sites[s]), truth.names[truth.labels[q, s]]] for s in sites]
            for q, sites in enumerate(hits)
        ]
        for name, claim in claims.items():
            found["claims"][name] = _claim(seed, name, claim, truth, wanted, hits, texts)
    found["questions"], found["notShown"] = _questions(run, seed, asked)
    found["documents"] = texts.rows
    found["documentCount"] = len(seed.truth.sites)
    return found


class _Texts:
    """The documents that some list names, numbered in the order of their first mention."""

    def __init__(self, seed: Seed) -> None:
        # A run that stopped at the gate has no cells yet, only the bands of its world's truth.
        self._cells = seed.truth.site_kind is SiteKind.CELL
        texts = seed.documents if seed.truth.site_kind is SiteKind.DOCUMENT else []
        self._texts = {row.id: row.text for row in texts}
        self._numbers: dict[str, int] = {}
        self.rows: list[list[str]] = []

    def index(self, site: str) -> int:
        if site not in self._numbers:
            self._numbers[site] = len(self.rows)
            text = mediation.cell_words(site) if self._cells else self._texts.get(site, "")
            self.rows.append([site, text])
        return self._numbers[site]


def _claim(
    seed: Seed,
    name: str,
    claim: Claim,
    truth: Truth,
    wanted: dict[str, list[str]],
    hits: Sequence[Any],
    texts: _Texts,
) -> dict[str, Any]:
    scores = aligned(seed.path / f"find-{name}" / "claim.npz", claim, truth)
    _, known = evidence(truth)
    ranking = orders(scores, truth)
    tops, ranks = [], []
    for q, sites in enumerate(ranking):
        # The list shows every document, the ranks count those whose truth is known.
        place = np.zeros(len(sites), dtype=int)
        counted = sites[known[q, sites]]
        place[counted] = np.arange(1, len(counted) + 1)
        tops.append(
            [[texts.index(truth.sites[s]), truth.names[truth.labels[q, s]], _short(scores[q, s]),
              known_value(truth.values[q, s])] for s in sites[:TOP]]
        )  # fmt: skip
        ranks.append([int(place[s]) for s in hits[q]])
    values = {
        hop: {m: [_short(v) for v in column] for m, column in columns.items()}
        for hop, columns in values_by_metric(wanted, ranking, truth).items()
    }
    return {"values": values, "top": tops, "ranks": ranks, "notes": claim.notes}


def aligned(where: Path, claim: Claim, truth: Truth) -> Any:
    """The claim's scores with their columns in the order of the truth's sites.

    Raises DataError naming `where` the claim lies if it has no score for one of them.
    """
    scores = np.asarray(claim.scores, dtype=float)
    if claim.sites == truth.sites:
        return scores
    column = {site: i for i, site in enumerate(claim.sites)}
    missing = [site for site in truth.sites if site not in column]
    if missing:
        raise DataError(where, None, f"has no score for {len(missing)} sites, such as {missing[0]}")
    return scores[:, [column[site] for site in truth.sites]]


def known_value(value: float) -> int | None:
    """A truth's value; None where nobody knows."""
    return None if math.isnan(value) else int(value)


def _questions(run: Run, seed: Seed, asked: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
    """The questions asked, in order, then left-out ones, then others up to a limit."""
    left_out = [r.question for r in run.excluded if r.seed == seed.number]
    names = list(dict.fromkeys([*asked, *seed.questions]))
    kept = names[: max(_QUESTIONS, len(asked))]
    kept += [n for n in dict.fromkeys(left_out) if n in seed.questions and n not in set(kept)]
    rows = [_question(seed.questions[n], seed.answers.get(n)) for n in kept if n in seed.questions]
    return rows, len(names) - len(kept)


def _question(row: Question, answer: Answer | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": row.id, "prompt": row.prompt, "answer": row.answer.strip(),
        "choices": len(row.choices), "cause": row.cause, "slices": row.slices, "split": row.split,
    }  # fmt: skip
    if answer is not None:
        found |= {"correct": answer.correct, "said": answer.prediction.strip()}
        found |= {"error": answer.error, "probability": _short(answer.probability)}
    return found


def _cut_texts(seeds: Sequence[dict[str, Any]]) -> int | None:
    """Cut document texts to the longest limit that fits the budget; None if nothing is cut."""
    documents = [row for seed in seeds for row in seed["documents"]]
    sizes = [len(row[1]) for row in documents]
    if sum(sizes) <= _TEXT_BUDGET:
        return None
    fits = (limit for limit in _CUTS if sum(min(s, limit) for s in sizes) <= _TEXT_BUDGET)
    limit = next(fits, _CUTS[-1])
    for row in documents:
        if len(row[1]) > limit:
            row[1] = f"{row[1][:limit]} … ({len(row[1]) - limit:,} more characters)"
    return limit


def _short(value: float | None) -> float | None:
    """Four significant digits; None for NaN."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")
