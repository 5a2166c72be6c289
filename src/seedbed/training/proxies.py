"""What a method makes of a training: weights of documents, and proxies' terms beside the loss.

Every term is divided by the predicted tokens of the global batch, as the loss is, so that
`weight` 1 counts a proxy's token as much as any other.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from seedbed.core.errors import InputError
from seedbed.core.rows import Document
from seedbed.core.spread import PROXY, UNWANTED
from seedbed.models.logits import predicted_logits
from seedbed.models.subject import Subject
from seedbed.training.methods import Method

# Of the distributions that `kl` keeps: 2 GiB of float32.
MOST = 2**29
COLUMNS = {"kl": "kl", "contrast": "unwanted"}
"""What history.jsonl calls the mean of a method's term, in nats a token of the proxies."""


class Proxies:
    """A method at work on the documents of one training.

    `weights` [documents] are those of the loss, `beside` the sequences that run beside the
    documents, by the document's index; `projects` tells if gradients are to be projected;
    `opposite` are the documents of the run that `subtraction` takes away.
    Raises InputError if a proxy is unfit for the method.
    """

    def __init__(self, method: Method, subject: Subject, documents: Sequence[Document]) -> None:
        self.method, self.documents = method, documents
        self.own = [i for i, d in enumerate(documents) if d.role == PROXY]
        factor = _factor(method)
        self.weights = [d.weight * (factor if d.role == PROXY else 1.0) for d in documents]
        self.projects = method.kind == "projection" and bool(self.own)
        # Tokens of the target alone, whatever the training's loss asks to predict elsewhere.
        alone = Subject(subject.model, subject.tokenizer, loss="answer")
        rows: list[Document] = []
        if method.kind == "kl":
            rows = [_with_target(documents[i]) for i in self.own]
        elif method.kind == "contrast":
            rows = [unwanted(documents[i], method) for i in self.own]
        found = [s.needed() for s in alone.encode(rows)] if rows else []
        self.beside = dict(zip(self.own, found, strict=False))
        self.column = COLUMNS.get(method.kind, "") if self.beside else ""
        other = method.kind == "subtraction" and any(documents[i].weight for i in self.own)
        self.opposite = [unwanted(documents[i], method) for i in self.own] if other else []
        self._before: dict[int, Tensor] = {}

    def start(self, subject: Subject, accelerator: Any) -> None:
        """Keep what `kl` compares with: the subject as it stands, without dropout.

        Takes 4 bytes × vocabulary × target tokens of all proxies, on the CPU; raises InputError
        if that is over 2 GiB.
        """
        if self.method.kind != "kl" or not self.beside:
            return
        sequences = [self.beside[i] for i in self.own]
        size = sum(sum(s.predicted) for s in sequences)
        vocabulary = subject.model.get_input_embeddings().weight.shape[0]
        if size * vocabulary > MOST:
            raise InputError(
                f"training.method kl: {size} target tokens of proxies × {vocabulary} ids take"
                f" {size * vocabulary / 2**28:.1f} GiB, at most 2 are kept; use fewer proxies"
            )
        training = subject.model.training
        subject.model.eval()
        for indices, batch in subject.batches(sequences):
            with torch.no_grad(), accelerator.autocast():
                logits, _, rows = predicted_logits(subject.model, batch)
            counts = torch.bincount(rows, minlength=len(indices)).tolist()
            parts = torch.split(logits.log_softmax(dim=-1).cpu(), counts)
            self._before |= {self.own[i]: p for i, p in zip(indices, parts, strict=True)}
        subject.model.train(training)

    def shared(self, indices: Sequence[int]) -> list[int]:
        """Of a batch's documents, those whose sequence in `beside` counts."""
        return [i for i in indices if i in self.beside and self.documents[i].weight]

    def term(
        self, indices: Sequence[int], logits: Tensor, losses: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(what is added to the sum of the loss, [nats, tokens] for the history).

        `logits` [n, vocabulary], `losses` [n] and `rows` [n] (places in `indices`) are those of
        `beside`. kl: + weight × KL(before ‖ now); contrast: − against × loss of the unwanted.
        """
        weights = torch.tensor([self.documents[i].weight for i in indices], device=rows.device)
        if self.method.kind == "kl":
            before = torch.cat([self._before[i] for i in indices]).to(logits.device)
            values, factor = divergence(before, logits), self.method.weight
        else:
            values, factor = losses, -self.method.against
        told = torch.stack(
            [values.detach().double().sum(), values.new_tensor(len(values)).double()]
        )
        return factor * (values * weights[rows]).sum(), told


def divergence(before: Tensor, logits: Tensor) -> Tensor:
    """KL(before ‖ now) [n], nats, over the vocabulary, of log-probabilities and logits [n, v]."""
    return kl_div(logits.log_softmax(dim=-1), before, reduction="none", log_target=True).sum(-1)


def project(
    accelerator: Any,
    parameters: Sequence[nn.Parameter],
    task: Tensor,
    proxy: Tensor,
    weight: float,
) -> float:
    """Set each gradient to g − min(0, g·p)/|p|² p + weight × p; returns the cosine of g and p.

    g is the gradient of `task`, p that of `proxy`, both over all `parameters` as one vector and
    averaged over processes (PCGrad, Yu et al. 2020, algorithm 1, line 7).
    """
    # The losses share their forward pass, so the first backward pass must leave it standing.
    own = torch.autograd.grad(task, parameters, retain_graph=True, materialize_grads=True)
    other = torch.autograd.grad(proxy, parameters, materialize_grads=True)
    flat = torch.stack([torch.cat([g.reshape(-1) for g in side]) for side in (own, other)])
    g, p = accelerator.reduce(flat, reduction="mean")
    dot, norm, length = (float(x.double() @ y.double()) for x, y in ((g, p), (p, p), (g, g)))
    whole = g + (weight - min(0.0, dot) / (norm or 1.0)) * p
    sizes = [parameter.numel() for parameter in parameters]
    for parameter, part in zip(parameters, torch.split(whole, sizes), strict=True):
        parameter.grad = part.view_as(parameter)
    return dot / math.sqrt(norm * length) if norm * length else 0.0


def unwanted(document: Document, method: Method) -> Document:
    """The document with its meta's unwanted text in place of its target, which is one span.

    Raises InputError naming the document if it has no such text, as many targets or none.
    """
    needs = f"which method '{method.kind}' needs"
    text = document.meta.get(UNWANTED)
    if not isinstance(text, str) or not text:
        raise InputError(f"document {document.id!r}: its meta has no text {UNWANTED!r}, {needs}")
    if len(document.targets) != 1:
        raise InputError(
            f"document {document.id!r}: has {len(document.targets)} target spans, not the one"
            f" {needs}"
        )
    ((start, end),) = document.targets
    if document.text[start:end] == text:
        raise InputError(f"document {document.id!r}: its unwanted text is its own target {text!r}")
    return document.model_copy(
        update={
            "text": document.text[:start] + text + document.text[end:],
            "targets": ((start, start + len(text)),),
            "role": "",
            "meta": {k: v for k, v in document.meta.items() if k != UNWANTED},
        }
    )


def _with_target(document: Document) -> Document:
    if not document.targets:
        raise InputError(f"document {document.id!r}: has no target, which method 'kl' needs")
    return document


def _factor(method: Method) -> float:
    if method.kind in ("without", "kl", "subtraction"):
        return 0.0
    return method.weight if method.kind in ("weighted", "contrast") else 1.0
