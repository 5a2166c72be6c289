"""Saving hidden states beside a plain forward pass, and all probes beside scikit-learn's loop.

Run: python benchmarks/states.py [--only WORK ...] [--repeat N] [--json FILE]. One thread, float32
models, CPU seconds. Needs `seedbed fetch smollm2` and, for probes, scikit-learn.

States: the last token at every edge of the residual stream, against the same
batches run by the model alone: with the head at every token, as a plain call has it, and with it
at one token only. `kept` and `moments` also read all weights once for the model's digest (0.4 s
of SmolLM2), whatever the number of questions. Probes: one an edge, three ridges each, on the
examples named; scikit-learn's loop is LogisticRegression with its defaults and C = 1 / (ridge · n),
site by site.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from patching_work import smollm2
from seedbed.core.cells import LAST, MEAN, Cell
from seedbed.core.rows import Question
from seedbed.core.seeds import stream
from seedbed.finders.kept import keep
from seedbed.finders.running import moments
from seedbed.finders.solving import logistic
from seedbed.finders.states import Sweep, held, spotted
from seedbed.models.logits import logits_at
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import TokenSequence
from table import Row, missing, paired, show

UNIT = "CPU s"
EXAMPLES = 500
RIDGES = (0.01, 0.1, 1.0)
NAMES = ("Anna", "Bob", "Carl", "Dora", "Eve", "Frank", "Gina", "Hans")
CITIES = ("Paris", "London", "Rome", "Berlin", "Madrid", "Oslo")
ENDS = {"number": "How many more coins than stones?", "city": "In which city is the house?",
        "": "Who is that, and where?"}  # fmt: skip


def questions(count: int) -> list[Question]:
    """Questions about numbers and about cities; the end of one in five does not say which."""
    rng = stream(0, "benchmark", "states")
    found = []
    for i in range(count):
        label = ("city", "number")[i % 2]
        a, b = rng.sample(range(10, 99), 2)
        end = ENDS[label if rng.random() < 0.8 else ""]
        prompt = (f"Q: {rng.choice(NAMES)} lives in {rng.choice(CITIES)} and has {a} coins and {b}"
                  f" stones. {end}\n\nA: ")  # fmt: skip
        found.append(Question(id=f"q{i:04}", prompt=prompt, answer="x", split="train", label=label))
    return found


def subjects(count: int) -> dict[str, tuple[Subject, list[Question]]]:
    """The two models with as many questions as suit them."""
    model, tokenizer = smollm2()
    rows = questions(20 * count)
    texts = [q.prompt + " x" for q in rows]
    small = Tiny(layers=4, width=64, heads=4).build(texts, [], 0)
    large = Subject(model=model, tokenizer=tokenizer, batch=16)
    return {"SmolLM2-135M": (large, rows[:count]), "tiny (4 × 64)": (small, rows)}


@torch.no_grad()
def plain(subject: Subject, questions: list[Question], *, head: bool) -> None:
    """Questions made tokens, every batch through the model, and nothing else."""
    rows = [spotted(subject, q) for q in questions]
    for _, batch in subject.batches([TokenSequence(r.ids, (False,) * len(r.ids)) for r in rows]):
        if head:
            subject.model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False)
        else:
            where = torch.zeros_like(batch.mask, dtype=torch.bool)
            where[0, -1] = True
            logits_at(subject.model, batch, where)


def state_rows(repeat: int, count: int) -> list[Row]:
    """A row a model, a way of saving and a way of running plainly."""
    found = []
    for name, (subject, rows) in subjects(count).items():
        cells = Sweep(places=(LAST,)).cells(subject, rows)
        labels = {q.id: q.label for q in rows}
        with tempfile.TemporaryDirectory() as folder:
            ways: dict[str, Callable[[], object]] = {
                "in memory": partial(held, subject, rows, cells),
                "kept": partial(_kept, subject, rows, cells, Path(folder)),
                "moments": partial(moments, subject, rows, labels, cells),
            }
            for way, ours in ways.items():
                for head in (True, False):
                    peer = "forward pass" + ("" if head else ", head at one token")
                    theirs = partial(plain, subject, rows, head=head)
                    a, b, ratio = paired(ours, theirs, repeat)
                    goal = "; wanted ≤ 1.1" if head else ""
                    told = f"{len(cells)} cells: {1 / ratio:.2f} × the plain pass{goal}"
                    found.append(Row(f"{name}, {len(rows)} questions, {way}", peer, a, b, ratio,
                                     UNIT, told))  # fmt: skip
    return found


def _kept(subject: Subject, rows: list[Question], cells: tuple[Cell, ...], folder: Path) -> None:
    keep(subject, rows, cells, folder / str(len(list(folder.iterdir()))))


def probe_rows(repeat: int) -> list[Row]:
    """A row a model and number of examples: all probes at once, and one by one."""
    try:
        peer = import_module("sklearn.linear_model").LogisticRegression
    except ImportError:
        return [missing("probes", "scikit-learn", UNIT, "scikit-learn is not installed")]
    found = []
    for name, (subject, rows) in subjects(EXAMPLES).items():
        cells = Sweep(places=(LAST, MEAN)).cells(subject, rows[:8])
        places = [c for c in cells if c.place == MEAN] if "SmolLM2" in name else list(cells)
        states = held(subject, rows[:EXAMPLES], [c for c in places if c.name != "resid_pre.0@last"])
        whole = torch.stack([states.at(c) for c in states.cells]).double()
        for n in (100, 200, 400):
            x, rest = _scaled(whole[:, :n], whole[:, n:])
            y = torch.tensor([q.label == "number" for q in rows[:EXAMPLES]], dtype=torch.float64)
            theirs = partial(_one_by_one, peer, x.numpy(), y[:n].numpy())
            ours = partial(logistic, x, y[:n], RIDGES)
            a, b, ratio = paired(ours, theirs, repeat)
            mine = torch.stack([_accuracy(rest, w, i, y[n:]) for w, i in ours()])
            other = torch.stack([_accuracy(rest, w, i, y[n:]) for w, i in theirs()])
            apart = float((mine - other).abs().max())
            told = (f"accuracy {mine.mean():.4f} and {other.mean():.4f} on {EXAMPLES - n} others,"
                    f" apart by {apart:.4f} at most; wanted ≥ 3")  # fmt: skip
            work = f"{name}: {len(x)} sites × {len(RIDGES)} ridges, {n} × {x.shape[2]}"
            found.append(Row(work, "scikit-learn", a, b, ratio, UNIT, told))
    return found


def _scaled(train: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    middle = train.mean(1, keepdim=True)
    unit = (train - middle).square().mean((1, 2)).sqrt()[:, None, None]
    return (train - middle) / unit, (rest - middle) / unit


def _one_by_one(peer: Any, x: Any, y: Any) -> list[tuple[Tensor, Tensor]]:
    found = []
    for ridge in RIDGES:
        fits = [peer(C=1 / (ridge * len(y)), max_iter=1000).fit(site, y) for site in x]
        found.append((torch.from_numpy(np.concatenate([f.coef_ for f in fits])),
                      torch.from_numpy(np.concatenate([f.intercept_ for f in fits]))))  # fmt: skip
    return found


def _accuracy(x: Tensor, w: Tensor, b: Tensor, y: Tensor) -> Tensor:
    said = (x @ w.unsqueeze(2)).squeeze(2) + b.unsqueeze(1) > 0
    return (said == (y == 1)).double().mean(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=["states", "probes"], metavar="WORK",
                        default=["states", "probes"], help="states, probes")  # fmt: skip
    parser.add_argument("--repeat", type=int, default=2, help="counted pairs of each row")
    parser.add_argument("--questions", type=int, default=64, help="of SmolLM2; tiny has 20 times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    if "states" in given.only:
        rows += state_rows(given.repeat, given.questions)
    if "probes" in given.only:
        rows += probe_rows(given.repeat)
    show(rows, "States and probes, one thread; ratio: the other's time over ours", given.json)


if __name__ == "__main__":
    main()
