"""Exact gradient scores of 400 documents for 20 questions, beside a training epoch and peers.

Run: python benchmarks/attribution.py [--json FILE]. One thread, CPU seconds, token ids given.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch.func import functional_call, grad, vmap

from seedbed.finders.gradients import Products, gradient_products, questions_of
from seedbed.finders.similarity import Bm25
from seedbed.models.logits import token_losses
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import Loss, TokenSequence, pad
from seedbed.worlds.hops.world import Hops
from table import Row, arguments, missing, paired, show

DOCUMENTS, QUESTIONS, BATCH = 400, 20, 32
EPOCHS = "what it costs, in epochs: 1 / ratio"
PEERS = {
    "kronfluence": "needs torchvision, of which there is no CPU build beside this torch",
    "bergson": "needs torchvision and torchaudio, of which there is no CPU build beside this torch",
    "trak": "not installed: pip install traker",
    "dattri_llm": "not installed: pip install dattri-llm",
}


class Work:
    """The subject, its token ids, and the three ways to the same numbers."""

    def __init__(self, loss: Loss) -> None:
        world = Hops()
        self.documents = world.documents(0)[:DOCUMENTS]
        asked = [q for q in world.questions(0) if q.split == "id"]
        self.questions = asked[:: len(asked) // QUESTIONS][:QUESTIONS]
        texts = [d.text for d in self.documents]
        texts += [t for q in self.questions for t in (q.prompt, *q.choices)]
        made = Tiny(layers=4, width=128, heads=4, feedforward=192).build(texts, [], 0)
        self.subject: Subject = replace(made, loss=loss, batch=BATCH)
        self.rows = self.subject.encode(self.documents)
        self.asked = questions_of(self.subject, self.questions, answer=True)
        self.size = sum(p.numel() for p in self.subject.model.parameters())

    def ours(self, norms: bool = False) -> Products:
        return gradient_products(self.subject, self.rows, self.asked, norms)

    def epoch(self) -> None:
        """Forward, backward and an AdamW step, documents in the given order."""
        model = self.subject.model
        kept = {name: p.detach().clone() for name, p in model.named_parameters()}
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        model.train()
        for start in range(0, len(self.rows), BATCH):
            batch = pad(self.rows[start : start + BATCH])
            token_losses(model, batch)[0].mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        # The scores that follow must be of the same weights every time.
        model.load_state_dict(kept, strict=False)

    def vmapped(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """(products, cosines) from per-document gradients by torch.func, in batches."""
        # vmap has no rule for the fused attention; the plain one is the faster here.
        self.subject.model.set_attn_implementation("eager")
        questions = torch.cat([g for _, g in self._gradients(self.asked)])
        dot = torch.zeros(len(self.asked), len(self.rows))
        square = torch.zeros(len(self.rows))
        for index, gradients in self._gradients(self.rows, ordered=False):
            dot[:, index] = questions @ gradients.T
            square[index] = gradients.square().sum(1)
        self.subject.model.set_attn_implementation("sdpa")
        size = torch.outer(questions.norm(dim=1), square.sqrt())
        return dot.numpy(), (dot / size).numpy()

    def _gradients(self, sequences: list[TokenSequence], ordered: bool = True) -> Any:
        model = self.subject.model
        parameters = {name: p.detach() for name, p in model.named_parameters()}

        def loss(weights: Any, ids: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
            # Right padding needs no mask: what is predicted never looks at it.
            logits = functional_call(model, weights, kwargs={"input_ids": ids[None]}).logits[0]
            losses = torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
            return (losses * predicted[1:]).sum()

        each = vmap(grad(loss), in_dims=(None, 0, 0))
        if ordered:
            batches: Any = [([0], pad([s], 0)) for s in sequences]
        else:
            batches = self.subject.batches(sequences)
        for index, batch in batches:
            found = each(parameters, batch.ids, batch.predicted)
            yield index, torch.cat([g.flatten(1) for g in found.values()], 1)

    def bm25(self) -> np.ndarray[Any, Any]:
        return Bm25().find(self.subject, self.documents, self.questions, []).scores


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
    for module, reason in PEERS.items():
        found = "installed, but this script has no comparison with it"
        rows.append(missing(name, module, "CPU s", found if find_spec(module) else reason))
    tokens = sum(len(s.ids) for s in whole.rows) / len(whole.rows)
    title = (f"{DOCUMENTS} documents of {tokens:.0f} tokens × {QUESTIONS} questions, "
             f"{whole.size / 1e6:.2f} M parameters, one thread")  # fmt: skip
    show(rows, title, given.json)


if __name__ == "__main__":
    main()
