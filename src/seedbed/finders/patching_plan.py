"""What must be run for a list of patches: which can change nothing, and what belongs together.

A patch is dropped where every position it touches holds the same state in donor and recipient,
or cannot reach the logits that are read; its logits are then the unpatched ones, exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from seedbed.core.cells import Stream
from seedbed.core.errors import InputError
from seedbed.models.blocks import Blocks, Site

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """A prompt to patch into, and where the values come from.

    `ids` are the recipient's tokens, `donor` the donor's (perhaps of another length; empty
    where every patch brings values of its own). Logits are read at position `read` of the
    recipient; a negative one counts from the end, in the donor from the donor's.
    """

    ids: Ids
    donor: Ids
    read: int = -1


@dataclass(frozen=True)
class Patch:
    """Put the donor's state of one stream in place of the recipient's, at some positions.

    `positions` are (recipient, donor) pairs, counted from 0: the map that aligns the two.
    `values` [positions, width] stand in for the donor's states where they are given. `step` is
    one run of a block that runs several times; None: every run, each from the donor's same run.
    """

    run: int
    stream: Stream
    layer: int
    positions: tuple[tuple[int, int], ...]
    head: int | None = None
    values: Tensor | None = field(default=None, compare=False, repr=False)
    step: int | None = None

    @property
    def site(self) -> Site:
        """Where the patch is, without its positions."""
        return Site(self.stream, self.layer, self.head, self.step)


@dataclass(frozen=True)
class Trimmed:
    """A run whose recipient ends where it is read: what comes later cannot matter.

    The donor keeps all its tokens; its logits are read at `donor_read`, −1 without a donor.
    """

    ids: Ids
    donor: Ids
    donor_read: int


@dataclass(frozen=True)
class Job:
    """A patch that may change something: number `patch` of the list, at `pairs` of positions."""

    patch: int
    run: int
    site: Site
    pairs: tuple[tuple[int, int], ...]
    values: Tensor | None = None

    @property
    def start(self) -> int:
        """The first position of the recipient that it touches."""
        return min(r for r, _ in self.pairs)

    @property
    def joins(self) -> int:
        """The first block that takes in what the patch leads to; its states differ from there."""
        return self.site.layer + (self.site.stream != "resid_pre")

    def first(self, layers: int) -> int:
        """The first block whose work the patch changes, at most the last block."""
        return min(self.site.layer + (self.site.stream == "resid_post"), layers - 1)


def trimmed(run: Run, number: int, vocabulary: int) -> Trimmed:
    """The run up to what is read; raises InputError for an unfit one."""
    end = _end(run.ids, run.read, f"run {number}")
    for ids in (run.ids, run.donor):
        if bad := [i for i in ids if not 0 <= i < vocabulary]:
            raise InputError(f"run {number}: token id {bad[0]} is outside the vocabulary")
    if not run.donor:
        return Trimmed(run.ids[:end], (), -1)
    same = len(run.ids) == len(run.donor)
    read = run.read if run.read < 0 or same else -1
    return Trimmed(run.ids[:end], run.donor, _end(run.donor, read, f"run {number}, donor") - 1)


def _end(ids: Ids, read: int, name: str) -> int:
    if not ids:
        raise InputError(f"{name}: has no tokens")
    if not -len(ids) <= read < len(ids):
        raise InputError(f"{name}: position {read} is read, but it has {len(ids)} tokens")
    return read % len(ids) + 1


def jobs_of(
    runs: Sequence[Trimmed],
    patches: Sequence[Patch],
    given: Sequence[Run],
    blocks: Blocks,
    *,
    same_model: bool,
    prune: bool = True,
) -> list[Job]:
    """Jobs of all patches that may change what is read, in the order of the patches.

    `same_model`: donor and recipient run on the same model, so equal beginnings give equal
    states. Without `prune` only positions after the one that is read are dropped. Raises
    InputError for an unknown run, site or position.
    """
    shared = [_common(r.ids, r.donor) if same_model else None for r in runs]
    found, known = [], set()
    for number, patch in enumerate(patches):
        if patch.site not in known:
            _check_site(patch, number, blocks)
            known.add(patch.site)
        _check(patch, number, given, blocks)
        run, common = runs[patch.run], shared[patch.run]
        kept = tuple(
            (i, pair)
            for i, pair in enumerate(patch.positions)
            if pair[0] < len(run.ids) and not (prune and _is_noop(patch, pair, run, common, blocks))
        )
        if not kept:
            continue
        values = None if patch.values is None else patch.values[[i for i, _ in kept]]
        found.append(Job(number, patch.run, patch.site, tuple(p for _, p in kept), values))
    return found


def _is_noop(
    patch: Patch, pair: tuple[int, int], run: Trimmed, common: int | None, blocks: Blocks
) -> bool:
    recipient, donor = pair
    if recipient < len(run.ids) - 1 and blocks.ends(patch.site):
        return True
    if patch.values is not None or common is None or recipient != donor:
        return False
    # The first block takes in embeddings, which know a token and its position only.
    same = run.ids[recipient] == run.donor[donor]
    return recipient < common or (same and blocks.begins(patch.site))


def _check_site(patch: Patch, number: int, blocks: Blocks) -> None:
    try:
        blocks.spot(patch.site)
    except InputError as error:
        raise InputError(f"patch {number}: {error}") from error


def _check(patch: Patch, number: int, runs: Sequence[Run], blocks: Blocks) -> None:
    name = f"patch {number}"
    if not 0 <= patch.run < len(runs):
        raise InputError(f"{name}: there is no run {patch.run}; runs are 0 to {len(runs) - 1}")
    run = runs[patch.run]
    if patch.values is None and not run.donor and patch.positions:
        raise InputError(f"{name}: run {patch.run} has no donor and the patch no values")
    for recipient, donor in patch.positions:
        if not 0 <= recipient < len(run.ids):
            raise InputError(f"{name}: position {recipient} is outside the recipient's"
                             f" {len(run.ids)} tokens")  # fmt: skip
        if patch.values is None and not 0 <= donor < len(run.donor):
            raise InputError(f"{name}: position {donor} is outside the donor's"
                             f" {len(run.donor)} tokens")  # fmt: skip
    if len({r for r, _ in patch.positions}) < len(patch.positions):
        raise InputError(f"{name}: a position of the recipient stands twice")
    if patch.values is None:
        return
    if len(patch.values) != len(patch.positions):
        raise InputError(f"{name}: {len(patch.values)} values for {len(patch.positions)} positions")
    if patch.values.shape[-1] != (width := blocks.numbers(patch.site)):
        raise InputError(
            f"{name}: values of width {patch.values.shape[-1]}; {patch.site.name} has {width}"
        )


def _common(a: Ids, b: Ids) -> int:
    """Length of the common beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y),
                min(len(a), len(b)))  # fmt: skip


def chunks(sizes: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices in order, as many at a time as stay within `budget` when all are as large as the
    largest; at least one.
    """
    batch: list[int] = []
    largest = 0
    for index, size in enumerate(sizes):
        if batch and (len(batch) + 1) * max(largest, size) > budget:
            yield batch
            batch, largest = [], 0
        batch.append(index)
        largest = max(largest, size)
    if batch:
        yield batch
