"""Many small interventions on many prompts: each moves one prompt's states along a direction.

Where blocks run once, the patch engine does it: a moved state is a patch with a value of its
own. Elsewhere every push is a row of a plain hooked batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.finders.patches import Patch, Run, patched_logits
from seedbed.finders.patching_plan import chunks
from seedbed.models.blocks import Blocks, Site, blocks_of
from seedbed.models.hooks import Change, evaluating, hooked, read
from seedbed.models.logits import logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch, TokenSequence, pad

Ids = tuple[int, ...]
# Takes unpushed and pushed logits, each [pushes, vocabulary], and the numbers of the pushes.
Reduce = Callable[[list[int], Tensor, Tensor], Tensor]
# Most logits that are held at once (64 MiB), and most tokens in a hooked pass.
HELD, TOKENS = 2**24, 4096


@dataclass(frozen=True, slots=True)
class Push:
    """h ← h + (`add` + `factor` · (h · d)) d, at `positions` of a site in prompt `run`.

    d is row `vector` of a table of unit vectors. Positions behind the prompt are left out.
    """

    run: int
    site: Site
    positions: tuple[int, ...]
    vector: int
    add: float = 0.0
    factor: float = 0.0

    @property
    def idle(self) -> bool:
        """Whether it changes nothing, whatever the state."""
        return not self.positions or (self.add == 0 and self.factor == 0)


@dataclass
class Spent:
    """How pushes ran: how many were asked for and run, the way, the largest check difference."""

    asked: int = 0
    ran: int = 0
    tier: str = ""
    checked: float = 0.0

    def with_(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(self.asked + other.asked, self.ran + other.ran, other.tier or self.tier,
                     max(self.checked, other.checked))  # fmt: skip


@torch.no_grad()
def pushed(
    subject: Subject,
    prompts: Sequence[Ids],
    pushes: Sequence[Push],
    vectors: Tensor,
    reduce: Reduce,
    tier: Literal["auto", "patches", "hooks"] = "auto",
) -> tuple[Tensor, Spent]:
    """`reduce` of the next-token logits at each prompt's last token, [pushes, k], and the cost.

    `vectors` [n, width] are unit vectors. A push that is idle is not run: its logits are the
    unpushed ones, bit by bit. Raises InputError for an unknown site or tier.
    """
    blocks = blocks_of(subject.model)
    for site in {p.site for p in pushes}:
        blocks.spot(site)
    if tier not in {"auto", "patches", "hooks"}:
        raise InputError(f"tier: {tier!r} is none of auto, patches, hooks")
    generic = blocks.recurrent if tier == "auto" else tier == "hooks"
    pushes = [_within(p, prompts) for p in pushes]
    spent = Spent(len(pushes), tier="hooks" if generic else "")
    found: dict[int, Tensor] = {}
    run = _by_hooks if generic else _by_patches
    vectors = vectors.to(subject.device)
    with evaluating(subject.model):
        for numbers in _portions(pushes, subject.model.get_input_embeddings().weight.shape[0]):
            runs = list(dict.fromkeys(pushes[n].run for n in numbers))
            here = [prompts[r] for r in runs]
            local = {r: i for i, r in enumerate(runs)}
            live = [n for n in numbers if not pushes[n].idle]
            moved = [(local[pushes[n].run], pushes[n]) for n in live]
            base, logits = run(subject, blocks, here, moved, vectors, spent)
            spent.ran += len(live)
            whole = base[[local[pushes[n].run] for n in numbers]]
            after = whole.clone()
            if live:
                place = {n: i for i, n in enumerate(numbers)}
                after[[place[n] for n in live]] = logits
            found.update(zip(numbers, reduce(numbers, whole, after), strict=True))
    every = [found[n] for n in range(len(pushes))]
    return torch.stack(every) if every else torch.zeros(0, dtype=torch.float64), spent


@contextmanager
def moved_by(blocks: Blocks, rows: Sequence[tuple[int, Push]], vectors: Tensor) -> Iterator[None]:
    """Row i of every (right-padded, uncached) batch is moved by the pushes (i, push)."""
    by_site: dict[Site, list[tuple[int, Push]]] = {}
    for row, push in rows:
        by_site.setdefault(push.site, []).append((row, push))
    with hooked(blocks, {s: _moving(mine, vectors) for s, mine in by_site.items()}):
        yield


def _moving(mine: Sequence[tuple[int, Push]], vectors: Tensor) -> Change:
    flat = [(row, p, push) for row, push in mine for p in push.positions]
    rows, columns = [row for row, _, _ in flat], [p for _, p, _ in flat]
    pushes = [push for _, _, push in flat]

    def change(hidden: Tensor) -> Tensor:
        new = hidden.clone()
        new[rows, columns] = _moved(hidden[rows, columns], pushes, vectors)
        return new

    return change


def _moved(states: Tensor, pushes: Sequence[Push], vectors: Tensor) -> Tensor:
    """States [n, width] after a push each."""
    d = vectors[[p.vector for p in pushes]].to(states)
    add, factor = (torch.tensor(x, device=states.device, dtype=states.dtype)
                   for x in ([p.add for p in pushes], [p.factor for p in pushes]))  # fmt: skip
    return states + (add + factor * (states * d).sum(-1))[:, None] * d


def _within(push: Push, prompts: Sequence[Ids]) -> Push:
    end = len(prompts[push.run])
    if all(p < end for p in push.positions):
        return push
    kept = tuple(p for p in push.positions if p < end)
    return Push(push.run, push.site, kept, push.vector, push.add, push.factor)


def _portions(pushes: Sequence[Push], vocabulary: int) -> Iterator[list[int]]:
    """Numbers of pushes, prompt by prompt, while their logits stay within `HELD` numbers.

    A prompt's pushes stay together where they fit.
    """
    mine: dict[int, list[int]] = {}
    for number, push in enumerate(pushes):
        mine.setdefault(push.run, []).append(number)
    most = max(1, HELD // vocabulary)
    part: list[int] = []
    for numbers in mine.values():
        if part and len(part) + len(numbers) > most:
            yield part
            part = []
        part += numbers
        while len(part) > most:
            yield part[:most]
            part = part[most:]
    if part:
        yield part


_Moved = Sequence[tuple[int, Push]]


def _by_patches(
    subject: Subject, blocks: Blocks, prompts: Sequence[Ids], moved: _Moved, vectors: Tensor,
    spent: Spent,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    values = _values(subject, prompts, moved, vectors)
    patches = [
        Patch(run, p.site.stream, p.site.layer, tuple((i, i) for i in p.positions), p.site.head, v)
        for (run, p), v in zip(moved, values, strict=True)
    ]
    given = patched_logits(subject, [Run(ids, ()) for ids in prompts], patches, seed=subject.seed)
    spent.tier = given.tier
    spent.checked = max(spent.checked, given.checked)
    return given.base, given.logits


def _values(
    subject: Subject, prompts: Sequence[Ids], moved: _Moved, vectors: Tensor
) -> list[Tensor]:
    """The moved states of each push [positions, width]; every site is read once."""
    by_site: dict[Site, list[int]] = {}
    for number, (_, push) in enumerate(moved):
        by_site.setdefault(push.site, []).append(number)
    states = states_of(subject, prompts, list(by_site))
    found: dict[int, Tensor] = {}
    for site, numbers in by_site.items():
        flat = [(moved[n][0], p, moved[n][1]) for n in numbers for p in moved[n][1].positions]
        rows, columns = [row for row, _, _ in flat], [p for _, p, _ in flat]
        new = _moved(states[site][rows, columns], [push for _, _, push in flat], vectors)
        sizes = [len(moved[n][1].positions) for n in numbers]
        found.update(zip(numbers, torch.split(new, sizes), strict=True))
    return [found[n] for n in range(len(moved))]


def states_of(
    subject: Subject, prompts: Sequence[Ids], sites: Sequence[Site]
) -> dict[Site, Tensor]:
    """Streams of all prompts at the sites, each [prompts, longest, numbers]."""
    if not sites:
        return {}
    longest = max(map(len, prompts))
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    parts: dict[Site, list[Tensor]] = {site: [] for site in sites}
    for chunk in chunks([len(prompts[i]) for i in order], TOKENS):
        batch = prompts_batch(subject, [prompts[order[i]] for i in chunk])
        found = read(subject.model, batch, sites, use_cache=False)
        for site, x in found.items():
            parts[site].append(torch.nn.functional.pad(x, (0, 0, 0, longest - x.shape[1])))
    back = torch.tensor(order).argsort()
    return {site: torch.cat(some)[back] for site, some in parts.items()}


def _by_hooks(
    subject: Subject,
    blocks: Blocks,
    prompts: Sequence[Ids],
    moved: _Moved,
    vectors: Tensor,
    spent: Spent,
) -> tuple[Tensor, Tensor]:
    def moving(index: list[int]) -> AbstractContextManager[None]:
        return moved_by(blocks, [(row, moved[i][1]) for row, i in enumerate(index)], vectors)

    return last_logits(subject, prompts), last_logits(subject, [prompts[r] for r, _ in moved],
                                                      moving)  # fmt: skip


def last_logits(
    subject: Subject,
    prompts: Sequence[Ids],
    during: Callable[[list[int]], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> Tensor:
    """Logits [prompts, vocabulary] at each last token, float32 on the CPU.

    Each batch, whose rows are the prompts of the numbers given, runs within `during(numbers)`.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: list[Tensor] = []
    for chunk in chunks([len(prompts[i]) for i in order], TOKENS):
        index = [order[i] for i in chunk]
        batch = prompts_batch(subject, [prompts[i] for i in index])
        with during(index):
            logits = logits_at(subject.model, batch, batch.predicted, use_cache=False)
        found.append(logits.float().cpu())
    return torch.cat(found)[torch.tensor(order).argsort()] if found else torch.zeros(0)


def prompts_batch(subject: Subject, prompts: Sequence[Ids]) -> Batch:
    """A right-padded batch whose `predicted` marks the last token of each prompt."""
    rows = [TokenSequence(p, (*(False for _ in p[1:]), True)) for p in prompts]
    return pad(rows).to(subject.device)
