"""Attribution beside a training epoch and beside peers, and its growth with the documents.

Run: python benchmarks/attribution.py [--json FILE] [--repeat N]. One thread, CPU seconds, token ids
given; every comparison is measured side by side in this run.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from growth import growth_rows
from peers import peer_rows
from table import Row, arguments, paired, show
from work import DOCUMENTS, QUESTIONS, Work

EPOCHS = "what it costs, in epochs: 1 / ratio"


def difference(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> str:
    worst = np.abs(found - wanted).max() / np.abs(wanted).max()
    return f"largest difference {worst:.0e} of the largest value"


def main() -> None:
    given = arguments(__doc__ or "", repeat=9)
    rows: list[Row] = []

    def compare(work: str, peer: str, ours: Callable[[], object], theirs: Callable[[], object],
                agreement: str, repeat: int) -> float:  # fmt: skip
        a, b, ratio = paired(ours, theirs, repeat)
        rows.append(Row(work, peer, a, b, ratio, "CPU s", agreement))
        return ratio

    whole, answer = Work("text"), Work("answer")
    dot, cosine = whole.vmapped()
    name = "gradient dot product, whole text"
    alike = difference(whole.ours().dot, dot)
    compare(name, "one training epoch", whole.ours, whole.epoch, EPOCHS,
            given.repeat)  # fmt: skip
    compare("gradient dot product, answer only", "one training epoch", answer.ours, answer.epoch,
            EPOCHS, given.repeat)  # fmt: skip
    compare("gradient cosine, whole text", "one training epoch", lambda: whole.ours(norms=True),
            whole.epoch, EPOCHS, given.repeat)  # fmt: skip
    few = max(1, given.repeat // 2)
    compare(name, "torch.func per-sample gradients", whole.ours, whole.vmapped, alike, few)
    alike = difference(whole.ours(norms=True).cosine(), cosine)
    compare("gradient cosine, whole text", "torch.func per-sample gradients",
            lambda: whole.ours(norms=True), whole.vmapped, alike, few)  # fmt: skip
    correlation = np.corrcoef(whole.bm25().ravel(), dot.ravel())[0, 1]
    compare(name, "bm25s", whole.ours, whole.bm25,
            f"other scores: correlation {correlation:.2f}", given.repeat)  # fmt: skip
    rows += peer_rows(whole, 3)
    rows += growth_rows()
    tokens = sum(len(s.ids) for s in whole.rows) / len(whole.rows)
    title = (f"{DOCUMENTS} documents of {tokens:.0f} tokens × {QUESTIONS} questions, "
             f"{whole.size / 1e6:.2f} M parameters, one thread")  # fmt: skip
    show(rows, title, given.json)


if __name__ == "__main__":
    main()
