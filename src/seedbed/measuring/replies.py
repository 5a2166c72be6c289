"""How probable every reply of a closed list is after every prompt, in one pass a prompt.

Replies that begin alike share that beginning: a prompt costs its own tokens and the nodes of the
tree that its replies make, instead of prompt and reply once for each pair.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Module

from seedbed.core.errors import InputError
from seedbed.measuring.packed import can_pack
from seedbed.models.decoding import stop_ids
from seedbed.models.logits import logits_at
from seedbed.models.options import sequence_logprobs
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch, encode_choices

Ids = tuple[int, ...]
Floats = NDArray[np.float64]
TOKENS = 4096
LOGITS = 2**27
"""Most tokens and most bytes of logits in a pass. Of its own, so that no batch size matters."""
_FOLLOWS: WeakKeyDictionary[Module, bool] = WeakKeyDictionary()


@dataclass(frozen=True)
class Tree:
    """Replies as a tree of tokens, parents before children.

    `parents[i]` is a node, −1 the end of the prompt; `depths` count from 0. `leaves` holds the
    node at which each reply ends, `paths` [replies, nodes] which nodes it passes.
    """

    ids: tuple[int, ...]
    parents: tuple[int, ...]
    depths: tuple[int, ...]
    leaves: tuple[int, ...]
    paths: Floats

    @staticmethod
    def of(replies: Sequence[Ids]) -> "Tree":
        """The tree of token sequences, none of them empty."""
        ids: list[int] = []
        parents: list[int] = []
        depths: list[int] = []
        place: dict[Ids, int] = {(): -1}
        for reply in replies:
            for n in range(1, len(reply) + 1):
                if reply[:n] not in place:
                    place[reply[:n]] = len(ids)
                    ids.append(reply[n - 1])
                    parents.append(place[reply[: n - 1]])
                    depths.append(n - 1)
        paths = np.zeros((len(replies), len(ids)))
        for r, reply in enumerate(replies):
            paths[r, [place[reply[:n]] for n in range(1, len(reply) + 1)]] = 1.0
        leaves = tuple(place[reply] for reply in replies)
        return Tree(tuple(ids), tuple(parents), tuple(depths), leaves, paths)

    def sees(self) -> NDArray[np.bool_]:
        """[nodes, nodes]: node i looks at itself and at those before it on its path."""
        found = np.eye(len(self.ids), dtype=bool)
        for i, parent in enumerate(self.parents):
            if parent >= 0:
                found[i] |= found[parent]
        return found


@torch.inference_mode()
def reply_logprobs(subject: Subject, asked: Sequence[tuple[str, tuple[str, ...]]]) -> list[Floats]:
    """Log p (nats) that each reply, and no more, is written after a prompt: [replies] of each.

    `asked` are (prompt, replies). A reply ends with any token that ends what the subject writes.
    It is read as the one sequence of tokens that the tokenizer makes of it; equal prompts with
    equal replies run once. Models that do not follow a tree of tokens run reply by reply. Raises
    InputError for unknown tokens, what is longer than the model's context, and a subject without
    a token that ends a reply.
    """
    stops = stop_ids(subject)
    if not stops:
        raise InputError("the subject's tokenizer names no token that ends a reply")
    subject.model.eval()
    distinct = dict.fromkeys(asked)
    found: dict[tuple[str, tuple[str, ...]], Floats] = {}
    for replies, group in _grouped(subject, list(distinct)).items():
        prompts = [ids for ids, _ in group]
        values = (
            _by_tree(subject, prompts, Tree.of(replies), stops)
            if _follows(subject, prompts[0], replies, stops)
            else _in_full(subject, prompts, replies, stops)
        )
        found |= {key: value for (_, key), value in zip(group, values, strict=True)}
    return [found[key] for key in asked]


Group = list[tuple[Ids, tuple[str, tuple[str, ...]]]]


def _grouped(
    subject: Subject, asked: Sequence[tuple[str, tuple[str, ...]]]
) -> dict[tuple[Ids, ...], Group]:
    """Replies as ids → (prompt ids, what was asked), in the order asked."""
    found: dict[tuple[Ids, ...], Group] = {}
    # Where words are tokens, a reply's ids do not depend on what stands before it.
    words = type(subject.tokenizer.backend_tokenizer.model).__name__ == "WordLevel"
    known: dict[tuple[str, ...], tuple[Ids, ...]] = {}
    firsts = [(prompt, replies[0]) for prompt, replies in asked]
    heads = [p for p, _ in encode_choices(subject.tokenizer, firsts, subject.context)]
    for (prompt, replies), start in zip(asked, heads, strict=True):
        head = start
        if not head:
            raise InputError("no token stands before the replies, and this tokenizer adds none")
        if words and replies in known:
            coded = known[replies]
            longest = len(head) + max(map(len, coded))
            if longest > subject.context:
                raise InputError(
                    f"{prompt!r} and its longest reply: {longest} tokens, but the model's context"
                    f" is {subject.context}"
                )
        else:
            pairs = encode_choices(
                subject.tokenizer, [(prompt, reply) for reply in replies], subject.context
            )
            # A prompt's last token may depend on the reply: what all have in common is the prompt.
            least = min(len(p) for p, _ in pairs)
            head = pairs[0][0][:least]
            coded = tuple(p[least:] + c for p, c in pairs)
            known[replies] = coded
        if len(set(coded)) < len(coded):
            raise InputError(f"the tokenizer cannot tell two replies after {prompt!r} apart")
        found.setdefault(coded, []).append((head, (prompt, replies)))
    return found


def _follows(subject: Subject, prompt: Ids, replies: Sequence[Ids], stops: Ids) -> bool:
    """Whether a tree of tokens gives a reply what it gets alone; tried once a model."""
    if not can_pack(subject.model, len(prompt) + max(map(len, replies))):
        return False
    known = _FOLLOWS.get(subject.model)
    if known is None:
        # The stranger comes first, where attention that ignored the tree would see it.
        other = tuple(reversed(replies[-1])) + replies[0][:1]
        tried = [other, max(replies, key=len)]
        one = _by_tree(subject, [prompt], Tree.of(tried), stops)[0][1]
        two = _in_full(subject, [prompt], tried[1:], stops)[0][0]
        slack = 1e-3 if subject.model.dtype == torch.float32 else 0.1
        known = _FOLLOWS[subject.model] = bool(abs(one - two) <= slack * (1 + abs(two)))
    return known


def _by_tree(subject: Subject, prompts: Sequence[Ids], tree: Tree, stops: Ids) -> list[Floats]:
    head = subject.model.get_output_embeddings()
    width = 4 * (len(head.weight) if head is not None else 2**16)
    nodes = len(tree.ids)
    sees = torch.from_numpy(tree.sees())
    found: dict[int, Floats] = {}
    for index in _portions(prompts, nodes, LOGITS // (width * (nodes + 1))):
        logits = _logits(subject, [prompts[i] for i in index], tree, sees)
        logs = torch.log_softmax(logits.float(), dim=-1)
        before = torch.tensor(tree.parents, device=logs.device) + 1
        ids = torch.tensor(tree.ids, device=logs.device)
        steps = logs[:, before, ids].double().cpu().numpy()
        ends = torch.tensor(tree.leaves, device=logs.device) + 1
        over = torch.logsumexp(logs[:, ends][..., list(stops)].double(), dim=-1).cpu().numpy()
        values = steps @ tree.paths.T + over
        found |= dict(zip(index, values, strict=True))
    return [found[i] for i in range(len(prompts))]


def _portions(prompts: Sequence[Ids], nodes: int, most: int) -> Iterator[list[int]]:
    """Prompts of similar length together, as many as a pass may hold."""
    index: list[int] = []
    for i in sorted(range(len(prompts)), key=lambda i: len(prompts[i])):
        tokens = (len(index) + 1) * (len(prompts[i]) + nodes)
        if index and (tokens > TOKENS or len(index) >= most):
            yield index
            index = []
        index.append(i)
    yield index


def _logits(subject: Subject, prompts: Sequence[Ids], tree: Tree, sees: Tensor) -> Tensor:
    """[prompts, 1 + nodes, vocabulary]: what follows the prompt, and what follows each node."""
    nodes, longest = len(tree.ids), max(map(len, prompts))
    shape = len(prompts), longest + nodes
    ids = torch.zeros(shape, dtype=torch.long)
    places = torch.zeros(shape, dtype=torch.long)
    allowed = torch.zeros((*shape, shape[1]), dtype=torch.bool)
    read = torch.zeros(shape, dtype=torch.bool)
    read[:, longest:] = True
    causal = torch.ones(longest, longest, dtype=torch.bool).tril()
    ids[:, longest:] = torch.tensor(tree.ids)
    depths = torch.tensor(tree.depths)
    allowed[:, longest:, longest:] = sees
    # Padding looks at itself and what is before, since a softmax over nothing is no number.
    allowed[:, :longest, :longest] = causal
    for row, prompt in enumerate(prompts):
        n = len(prompt)
        ids[row, :n] = torch.tensor(prompt)
        places[row, :n] = torch.arange(n)
        places[row, longest:] = depths + n
        allowed[row, longest:, :n] = True
        read[row, n - 1] = True
    device, dtype = subject.device, subject.model.dtype
    mask = torch.zeros(allowed.shape, dtype=dtype).masked_fill_(~allowed, torch.finfo(dtype).min)
    where = read.to(device)
    batch = Batch(ids.to(device), mask[:, None].to(device), where)
    logits = logits_at(subject.model, batch, where, position_ids=places.to(device), use_cache=False)
    return logits.view(len(prompts), 1 + nodes, -1)


def _in_full(
    subject: Subject, prompts: Sequence[Ids], replies: Sequence[Ids], stops: Ids
) -> list[Floats]:
    pairs = [(p, (*r, s)) for p in dict.fromkeys(prompts) for r in replies for s in stops]
    known: Mapping[tuple[Ids, Ids], float] = sequence_logprobs(subject, pairs)
    return [
        np.array([np.logaddexp.reduce([known[p, (*r, s)] for s in stops]) for r in replies])
        for p in prompts
    ]
