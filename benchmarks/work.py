"""What the attribution benchmarks share: a subject, 400 documents and 20 questions as token ids."""

from dataclasses import replace
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

DOCUMENTS, QUESTIONS, BATCH = 400, 20, 32


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
            batch = pad([s.needed() for s in self.rows[start : start + BATCH]])
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
        dot = questions.new_zeros(len(self.asked), len(self.rows))
        square = questions.new_zeros(len(self.rows))
        for index, gradients in self._gradients(self.rows, ordered=False):
            dot[:, index] = questions @ gradients.T
            square[index] = gradients.square().sum(1)
        self.subject.model.set_attn_implementation("sdpa")
        size = torch.outer(questions.norm(dim=1), square.sqrt())
        return dot.cpu().numpy(), (dot / size).cpu().numpy()

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
            batches: Any = [([0], pad([s], 0).to(self.subject.device)) for s in sequences]
        else:
            batches = self.subject.batches(sequences)
        for index, batch in batches:
            found = each(parameters, batch.ids, batch.predicted)
            yield index, torch.cat([g.flatten(1) for g in found.values()], 1)

    def bm25(self) -> np.ndarray[Any, Any]:
        return Bm25().find(self.subject, self.documents, self.questions, []).scores
