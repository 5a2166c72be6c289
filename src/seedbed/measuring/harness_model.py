"""A subject as lm-eval's model, with an intervention in place at exact positions.

This module alone needs lm-eval when it is imported; `measuring.harness` imports it on demand.
"""

from collections.abc import Sequence
from typing import Any

from lm_eval import utils
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    normalize_gen_kwargs,
    postprocess_generated_text,
)

from seedbed.core.errors import InputError
from seedbed.measuring.likelihoods import Ids, Intervention, Progress, Side, likelihoods
from seedbed.measuring.until import write_until
from seedbed.models.subject import Subject
from seedbed.models.templates import has_template


class SubjectLM(TemplateLM):  # type: ignore[misc]  # lm-eval has no type hints that mypy reads
    """What lm-eval asks of a model, answered by a subject; texts become ids as in its HFLM.

    `cut` counts the requests whose context lost its beginning, because the model takes no more.
    """

    def __init__(
        self,
        subject: Subject,
        intervention: Intervention | None = None,
        padding: Side = "right",
        progress: Progress = lambda done, total: None,
    ) -> None:
        super().__init__()
        self.progress = progress
        self.subject, self.intervention, self.padding = subject, intervention, padding
        self.tokenizer = subject.tokenizer
        self.cut = 0

    @property
    def device(self) -> Any:
        """Where the model's weights are."""
        return self.subject.device

    @property
    def max_length(self) -> int:
        """Most tokens that the model takes."""
        return self.subject.context

    @property
    def eot_token_id(self) -> Any:
        """The id that ends a text."""
        return self.tokenizer.eos_token_id

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text without a context: BOS, without one EOS."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        raise InputError("the tokenizer has neither BOS nor EOS, and a request has no context")

    @property
    def tokenizer_name(self) -> str:
        """Names the tokenizer in lm-eval's caches."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation as text; raises InputError where the tokenizer has no template."""
        if not has_template(self.tokenizer):
            raise InputError("the tokenizer has no chat template")
        text: str = self.tokenizer.apply_chat_template(
            chat_history, tokenize=False, add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )  # fmt: skip
        return text

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """Ids as the tokenizer itself begins a text, without a second BOS."""
        if add_special_tokens is None:
            lead = self.tokenizer.bos_token
            add_special_tokens = not (lead and string.startswith(lead))
        ids: list[int] = self.tokenizer.encode(string, add_special_tokens=add_special_tokens)
        return ids

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        pairs = [(tuple(context), tuple(continuation)) for _, context, continuation in requests]
        found = likelihoods(self.subject, pairs, self.intervention, self.padding,
                            self.progress)  # fmt: skip
        self.cut += sum(f.cut > 0 for f in found)
        return [(f.total, f.greedy) for f in found]

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        """Log p of whole texts, in windows of the model's context; the first token's is BOS."""
        windows = [self._windows(request.args[0]) for request in requests]
        flat = [(None, list(c), list(t)) for text in windows for c, t in text]
        totals = iter(self._loglikelihood_tokens(flat))
        return [sum(next(totals)[0] for _ in text) for text in windows]

    def _windows(self, text: str) -> list[tuple[Ids, Ids]]:
        rolling = utils.get_rolling_token_windows(
            token_list=self.tok_encode(text), prefix_token=self.prefix_token_id,
            max_seq_len=self.max_length, context_len=1,
        )  # fmt: skip
        return [(tuple(c), tuple(t)) for c, t in map(utils.make_disjoint_window, rolling)]

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        """What is written after each context, up to a stop sequence; greedy unless asked."""
        grouped: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            grouped.setdefault(repr(request.args[1]), []).append(i)
        said: dict[int, str] = {}
        for members in grouped.values():
            given = dict(normalize_gen_kwargs(requests[members[0]].args[1], 256))
            stops = handle_stop_sequences(given.pop("until"), eos=self._end())
            most = int(given.pop("max_gen_toks"))
            prompts = [self._prompt(requests[i].args[0], most) for i in members]
            texts = write_until(self.subject, prompts, stops, most, given, self.intervention,
                                self.progress)  # fmt: skip
            for i, text in zip(members, texts, strict=True):
                said[i] = postprocess_generated_text(text, stops, None)
        return [said[i] for i in range(len(requests))]

    def _end(self) -> str | None:
        token = self.eot_token_id
        return None if token is None else str(self.tokenizer.decode(token))

    def _prompt(self, text: str, most: int) -> Ids:
        room = self.max_length - most
        if room < 1:
            raise InputError(f"the task lets {most} tokens be written, and the model takes"
                             f" {self.max_length} in all; set max_gen_toks lower")  # fmt: skip
        ids = tuple(self.tok_encode(text)) or (self.prefix_token_id,)
        self.cut += len(ids) > room
        return ids[-room:]
