"""A causal model of recurrent depth: a prelude, a core that runs again and again, a coda.

After Geiping et al. 2025 (arXiv 2502.05171, section 3): the embedded input goes into every
recurrence, the state starts at random. Blocks are Llama's.
"""

import math
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import (
    LlamaDecoderLayer,
    LlamaRMSNorm,
    LlamaRotaryEmbedding,
)

from seedbed.nets.states import marks, normals

MODEL_TYPE = "seedbed_recurrent"
# The spread of the log-normal rate (arXiv 2502.05171, section 3.3).
SPREAD = 0.5


class RecurrentConfig(LlamaConfig):  # type: ignore[misc]  # transformers ships no types
    """Llama's configuration, and how many blocks the parts have.

    The core runs `recurrences` times; in training as often as `drawn` says: uniform up to
    `drawn_recurrences`, poisson with about that mean, or fixed.
    """

    model_type = MODEL_TYPE

    prelude_layers: int = 1
    core_layers: int = 2
    coda_layers: int = 1
    recurrences: int = 8
    drawn: str = "uniform"
    drawn_recurrences: int = 8
    state_seed: int = 0


class _Recurrent(PreTrainedModel):  # type: ignore[misc]  # transformers ships no types
    config_class = RecurrentConfig
    base_model_prefix = "model"
    _no_split_modules = ("LlamaDecoderLayer",)
    _skip_keys_device_placement = ("past_key_values",)
    _supports_sdpa = True
    _supports_attention_backend = True
    # As many keys and values as recurrences: only a cache that grows by layers holds them.
    _can_compile_fullgraph = False


class RecurrentModel(_Recurrent):
    """Everything but the output embedding."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.embed_tokens = nn.Embedding(config.vocab_size, width)

        def blocks(count: int, first: int) -> nn.ModuleList:
            return nn.ModuleList(LlamaDecoderLayer(config, first + i) for i in range(count))

        self.prelude = blocks(config.prelude_layers, 0)
        self.core = blocks(config.core_layers, config.prelude_layers)
        self.coda = blocks(config.coda_layers, config.prelude_layers + config.core_layers)
        self.adapter = nn.Linear(2 * width, width, bias=False)
        self.norm = LlamaRMSNorm(width, eps=config.rms_norm_eps)
        self.rotary_emb = LlamaRotaryEmbedding(config=config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: DynamicCache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        **options: Any,
    ) -> BaseModelOutputWithPast:
        """Hidden states [rows, length, width] after the last norm.

        Raises ValueError without `input_ids`, from which the initial state is drawn.
        """
        if input_ids is None or inputs_embeds is not None:
            raise ValueError("input_ids are needed: the initial state is drawn from them")
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache()
        seen = past_key_values.get_seq_length() if past_key_values is not None else 0
        positions = _positions(input_ids, attention_mask, position_ids, seen)
        x = self.embed_tokens(input_ids)
        mask = create_causal_mask(
            config=self.config,
            inputs_embeds=x,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=positions.clamp(min=0),
        )
        turns = self.rotary_emb(x, position_ids=positions.clamp(min=0))
        recurrences = self._recurrences()
        kept: list[Tensor] = []
        slots = count()

        def run(blocks: nn.ModuleList, x: Tensor) -> Tensor:
            for block in blocks:
                if output_hidden_states:
                    kept.append(x)
                cache = None if past_key_values is None else _Slot(past_key_values, next(slots))
                x = block(
                    x,
                    attention_mask=mask,
                    position_embeddings=turns,
                    past_key_values=cache,
                    use_cache=cache is not None,
                )
            return x

        embedded = run(self.prelude, x)
        # Marks are kept behind the keys of all runs.
        last = len(self.prelude) + recurrences * len(self.core) + len(self.coda)
        cache = None if past_key_values is None else _Slot(past_key_values, last)
        state = self._initial(input_ids, positions, cache).to(x.dtype)
        given = self._normed(embedded)
        for _ in range(recurrences):
            mixed = self.adapter(torch.cat([self._normed(state), given], dim=-1))
            state = run(self.core, mixed)
        x = self.norm(run(self.coda, state))
        states = (*kept, x) if output_hidden_states else None
        return BaseModelOutputWithPast(
            last_hidden_state=x, past_key_values=past_key_values, hidden_states=states
        )

    def _normed(self, x: Tensor) -> Tensor:
        # Without gains of its own: the adapter's weights would only multiply them.
        return nn.functional.rms_norm(x, x.shape[-1:], eps=self.config.rms_norm_eps)

    def _recurrences(self) -> int:
        config = self.config
        if not self.training or config.drawn == "fixed":
            return int(config.recurrences)
        if config.drawn == "uniform":
            return int(torch.randint(1, config.drawn_recurrences + 1, ()))
        # The mean of the rate is what is asked for, since a log-normal's is exp(μ + σ²/2).
        centre = math.log(config.drawn_recurrences) - SPREAD**2 / 2
        return int(torch.poisson(torch.exp(centre + SPREAD * torch.randn(())))) + 1

    def _initial(self, ids: Tensor, positions: Tensor, cache: "_Slot | None") -> Tensor:
        width = int(self.config.hidden_size)
        if self.training:
            return torch.randn(*ids.shape, width, device=ids.device)
        own = marks(ids, positions)
        if cache is not None:
            # Kept as if they were keys, so that whatever is done to the cache is done to them.
            rows = own[:, None, :, None]
            own = cache.update(rows, rows[..., :0])[0][:, 0, :, 0]
        sums = own.cumsum(dim=1)[:, -ids.shape[1] :]
        return normals(sums, width, int(self.config.state_seed))


class RecurrentForCausalLM(_Recurrent, GenerationMixin):  # type: ignore[misc]  # as above
    """The model with its output embedding."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.model = RecurrentModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: DynamicCache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **options: Any,
    ) -> CausalLMOutputWithPast:
        """Logits [rows, length or `logits_to_keep`, vocabulary], and the loss if `labels`."""
        found = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **options,
        )
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(found.last_hidden_state[:, keep])
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.vocab_size, **options
            )
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=found.past_key_values,
            hidden_states=found.hidden_states,
        )


class _Slot:
    """A cache as one run of a block sees it: every run has a layer of its own."""

    def __init__(self, cache: DynamicCache, number: int) -> None:
        self.cache, self.number = cache, number

    def update(self, keys: Tensor, values: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        """Keys and values with those of earlier tokens before them."""
        while len(self.cache.layers) <= self.number:
            self.cache.layers.append(DynamicLayer())
        found: tuple[Tensor, Tensor] = self.cache.update(keys, values, self.number)
        return found


def _positions(ids: Tensor, mask: Tensor | None, given: Tensor | None, seen: int) -> Tensor:
    """Absolute positions [rows, length] of the real tokens, −1 at padding."""
    rows, length = ids.shape
    places = (seen + torch.arange(length, device=ids.device)).expand(rows, length)
    if given is not None:
        places = given.expand(rows, length)
    if mask is None or mask.dim() != 2:
        return places
    if given is None:
        places = (mask.long().cumsum(1) - 1)[:, -length:]
    return places.masked_fill(mask[:, -length:] == 0, -1)


def register() -> None:
    """Let transformers read saved folders of this architecture."""
    AutoConfig.register(MODEL_TYPE, RecurrentConfig, exist_ok=True)
    AutoModelForCausalLM.register(RecurrentConfig, RecurrentForCausalLM, exist_ok=True)
