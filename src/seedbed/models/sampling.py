"""What a subject writes after many prompts, drawn fast and exactly: batches change no draw.

Equal texts are run once, rows that ended leave the batch, and where the two likeliest draws lie
too near for a batch's last bits to tell, that row is decided by a pass of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from seedbed.core.errors import InputError
from seedbed.models.decoding import Continuation, Ids, alike, stop_ids
from seedbed.models.noise import gumbel
from seedbed.models.passes import Texts, alone
from seedbed.models.subject import Subject

Numbers = NDArray[np.int64]
SLACK = 1e-3
HALF_SLACK = 0.25
"""Logits (float32; half precision) within which two draws count as near."""
MEMORY = 2**29  # bytes that keys and values of one batch may take
TABLE = 2**22  # noise that is drawn ahead for all steps at once


@torch.inference_mode()
def draw(
    subject: Subject,
    prompts: Sequence[Ids],
    most: int,
    temperature: float = 1.0,
    seeds: Sequence[int] = (),
) -> list[Continuation]:
    """Up to `most` tokens after each prompt, until a stop token.

    Token s of prompt i is the argmax of logits + temperature × Gumbel noise of the address
    (seeds[i], s) (Gumbel-max rule); at temperature 0 the likeliest token, of equals the first id.
    The logits that decide are those of the text alone, without padding or cache: a batch's are
    taken in their place only where the gap of the two best exceeds what they may differ by.
    Raises InputError for a prompt that leaves no room for `most` tokens, and for logits that are
    no numbers.
    """
    for ids in prompts:
        if len(ids) + most > subject.context:
            raise InputError(
                f"a prompt of {len(ids)} tokens leaves no room for {most} more in the model's"
                f" context of {subject.context}"
            )
    if temperature and len(seeds) != len(prompts):
        raise ValueError(f"seeds: {len(seeds)} of them for {len(prompts)} prompts")
    if not prompts:
        return []
    subject.model.eval()
    rows = _Rows(subject, list(prompts), most, temperature, list(seeds))
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i]))
    size = _rows_at_once(subject, max(map(len, prompts)) + most)
    for index in alike(replace(subject, batch=size), [prompts[i] for i in order]):
        rows.run(np.array([order[k] for k in index]))
    return rows.continuations()


@dataclass
class _Rows:
    """All prompts of a call and what was written after each."""

    subject: Subject
    prompts: list[Ids]
    most: int
    temperature: float
    seeds: list[int]
    written: Numbers = field(init=False)
    count: Numbers = field(init=False)
    ended: NDArray[np.bool_] = field(init=False)
    table: NDArray[np.float64] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        n = len(self.prompts)
        self.written = np.zeros((n, self.most), dtype=np.int64)
        self.count = np.zeros(n, dtype=np.int64)
        self.ended = np.zeros(n, dtype=bool)
        self.stops = np.array(stop_ids(self.subject), dtype=np.int64)
        single = self.subject.model.dtype in (torch.float32, torch.float64)
        self.slack = SLACK if single else HALF_SLACK

    def text(self, row: int) -> Ids:
        """The prompt and what was written after it."""
        return (*self.prompts[row], *self.written[row, : self.count[row]].tolist())

    def run(self, live: Numbers) -> None:
        """Write what follows the prompts of some rows."""
        first = {p: k for k, p in enumerate(dict.fromkeys(self.prompts[i] for i in live))}
        place = np.array([first[self.prompts[i]] for i in live])
        texts = Texts(self.subject, list(first))
        while True:
            logits = texts.logits.cpu().numpy()
            before = live
            tokens = self._choose(logits, place, live)
            live, tokens = self._write(live, tokens)
            if not len(live):
                return
            place = place[np.isin(before, live)]
            pair, place = np.unique(place * logits.shape[1] + tokens, return_inverse=True)
            texts.step((pair // logits.shape[1]).tolist(), (pair % logits.shape[1]).tolist())

    def _write(self, live: Numbers, tokens: Numbers) -> tuple[Numbers, Numbers]:
        """Write one token a row; the rows that go on, and their tokens."""
        stop = np.isin(tokens, self.stops)
        self.ended[live[stop]] = True
        going, tokens = live[~stop], tokens[~stop]
        self.written[going, self.count[going]] = tokens
        self.count[going] += 1
        room = self.count[going] < self.most
        return going[room], tokens[room]

    def _choose(self, logits: NDArray[np.float32], place: Numbers, live: Numbers) -> Numbers:
        """The next token of each live row, whose predictions stand in line `place` of `logits`."""
        scores = logits[place].astype(np.float64)
        if not np.isfinite(scores.max(1)).all():
            raise InputError("the model's logits are no numbers: its weights are broken")
        slack = self.slack * max(1.0, float(np.abs(scores).max()) / 16)
        noise = self._noise(live, scores.shape[1])
        if noise is not None:
            scores += noise
        tokens: Numbers = scores.argmax(1)
        each = np.arange(len(live))
        best = scores[each, tokens]
        scores[each, tokens] = -np.inf
        known: dict[int, NDArray[np.float64]] = {}
        for i in np.flatnonzero(best - scores.max(1) <= slack):
            line = int(place[i])
            if line not in known:
                known[line] = alone(self.subject, self.text(int(live[i]))).double().cpu().numpy()
            again = known[line]
            tokens[i] = int((again if noise is None else again + noise[i]).argmax())
        return tokens

    def _noise(self, live: Numbers, width: int) -> NDArray[np.float64] | None:
        if self.temperature == 0:
            return None
        if self.table is None and len(self.seeds) * self.most * width <= TABLE:
            self.table = self.temperature * gumbel(self.seeds, 0, self.most, width)
        if self.table is not None:
            found: NDArray[np.float64] = self.table[live, self.count[live]]
            return found
        steps = self.count[live]
        made = np.empty((len(live), width))
        for step in np.unique(steps):
            rows = np.flatnonzero(steps == step)
            made[rows] = gumbel([self.seeds[i] for i in live[rows]], int(step), 1, width)[:, 0]
        return self.temperature * made

    def continuations(self) -> list[Continuation]:
        """What was written, with its text."""
        texts: dict[Ids, str] = {}
        decode: Callable[..., str] = self.subject.tokenizer.decode
        found = []
        for row, n in enumerate(self.count.tolist()):
            ids = tuple(self.written[row, :n].tolist())
            if ids not in texts:
                texts[ids] = decode(ids, skip_special_tokens=True)
            found.append(Continuation(ids, texts[ids], "stop" if self.ended[row] else "length"))
        return found


def _rows_at_once(subject: Subject, length: int) -> int:
    """Rows whose keys and values, and logits, fit into MEMORY."""
    config = subject.model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", 1)
    share = (getattr(config, "num_key_value_heads", None) or heads) / heads
    layers = getattr(config, "num_hidden_layers", 1)
    width = getattr(config, "hidden_size", 1024)
    size = 8 * length * layers * width * share + 24 * getattr(config, "vocab_size", 1)
    return max(1, min(256, int(MEMORY // size)))
