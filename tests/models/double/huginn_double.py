"""A small model with the module names and calling habits of Huginn-0125, for tests only.

Blocks take the stream by position and return a tuple; the state is drawn anew in every pass.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast


class DoubleConfig(PretrainedConfig):  # type: ignore[misc]  # transformers ships no types
    """Settings under Huginn's names."""

    model_type = "huginn_double"
    attribute_map = {  # noqa: RUF012 (transformers reads it from the class)
        "hidden_size": "n_embd", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers",
    }  # fmt: skip

    def __init__(
        self, vocab_size: int = 40, n_embd: int = 16, n_heads: int = 4, prelude: int = 2,
        core: int = 4, coda: int = 2, mean_recurrence: int = 3, block_size: int = 64, **rest: Any,
    ) -> None:  # fmt: skip
        self.vocab_size, self.n_embd, self.n_heads = vocab_size, n_embd, n_heads
        self.n_layers_in_prelude, self.n_layers_in_recurrent_block = prelude, core
        self.n_layers_in_coda, self.mean_recurrence = coda, mean_recurrence
        self.n_layers = prelude + core * mean_recurrence + coda
        self.block_size = block_size
        self.init_values = {"std": 0.3, "embed_scale": 4.0}
        super().__init__(**{"tie_word_embeddings": False, **rest})


class Attention(nn.Module):
    def __init__(self, config: DoubleConfig) -> None:
        super().__init__()
        self.heads = config.n_heads
        self.Wqkv = nn.Linear(config.n_embd, 3 * config.n_embd, bias=False)
        self.proj = nn.Linear(config.n_embd, config.n_embd, bias=False)

    def forward(self, x: Tensor, mask: Tensor, slot: int, cache: Any) -> Tensor:
        rows, length, width = x.shape
        parts = self.Wqkv(x).view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = parts.unbind(0)
        if cache is not None:
            k, v = cache.update(k, v, slot)
        found = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.proj(found.transpose(1, 2).reshape(rows, length, width))
        return out


class Block(nn.Module):
    def __init__(self, config: DoubleConfig) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.RMSNorm(config.n_embd), nn.RMSNorm(config.n_embd)
        self.norm_3, self.norm_4 = nn.RMSNorm(config.n_embd), nn.RMSNorm(config.n_embd)
        self.attn = Attention(config)
        self.mlp = nn.Sequential(
            nn.Linear(config.n_embd, 24), nn.SiLU(), nn.Linear(24, config.n_embd)
        )

    def forward(self, x: Tensor, mask: Tensor, slot: int, cache: Any) -> tuple[Tensor, None]:
        x = self.norm_2(self.attn(self.norm_1(x), mask, slot, cache) + x)
        return self.norm_4(self.mlp(self.norm_3(x)) + x), None


class DoubleForCausalLM(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    config_class = DoubleConfig

    def __init__(self, config: DoubleConfig) -> None:
        super().__init__(config)

        def blocks(count: int) -> nn.ModuleList:
            return nn.ModuleList(Block(config) for _ in range(count))

        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(config.vocab_size, config.n_embd),
            "places": nn.Embedding(config.block_size, config.n_embd),
            "prelude": blocks(config.n_layers_in_prelude),
            "adapter": nn.Linear(2 * config.n_embd, config.n_embd, bias=False),
            "core_block": blocks(config.n_layers_in_recurrent_block),
            "coda": blocks(config.n_layers_in_coda),
            "ln_f": nn.RMSNorm(config.n_embd),
        })  # fmt: skip
        self.emb_scale = config.init_values["embed_scale"]
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> Any:
        return self.transformer["wte"]

    def get_output_embeddings(self) -> Any:
        return self.lm_head

    def _list(self, name: str) -> nn.ModuleList:
        found = self.transformer[name]
        assert isinstance(found, nn.ModuleList)
        return found

    def initialize_state(self, input_embeds: Tensor, scale: float = 1.0) -> Tensor:
        std = self.config.init_values["std"] * scale
        x = torch.randn_like(input_embeds)
        nn.init.trunc_normal_(x, std=std, a=-3 * std, b=3 * std)
        return x * self.emb_scale

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None, num_steps: int | None = None,
        past_key_values: Any = None, use_cache: bool = False, **_: Any,
    ) -> CausalLMOutputWithPast:  # fmt: skip
        length = input_ids.shape[1]
        seen = past_key_values.get_seq_length() if past_key_values is not None else 0
        if attention_mask is None:
            attention_mask = input_ids.new_ones(len(input_ids), seen + length)
        if position_ids is None:
            position_ids = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, -length:]
        causal = torch.ones(length, seen + length, dtype=torch.bool).tril(seen)
        # Every token sees itself, padding too, since a softmax over nothing is no number.
        own = torch.eye(seen + length, dtype=torch.bool)[-length:]
        mask = (causal & attention_mask[:, None, None].bool()) | own
        cache = past_key_values if use_cache else None
        embeds = self.transformer["wte"](input_ids) * self.emb_scale
        embeds = embeds + self.transformer["places"](position_ids)
        slot = 0
        for block in self._list("prelude"):
            embeds, _none = block(embeds, mask, slot, cache)
            slot += 1
        x = self.initialize_state(embeds)
        for _step in range(num_steps or self.config.mean_recurrence):
            x = self.transformer["adapter"](torch.cat([x, embeds], dim=-1))
            for block in self._list("core_block"):
                x, _none = block(x, mask, slot, cache)
                slot += 1
        x = self.transformer["ln_f"](x)
        for block in self._list("coda"):
            x, _none = block(x, mask, slot, cache)
            slot += 1
        logits = self.lm_head(self.transformer["ln_f"](x))
        return CausalLMOutputWithPast(logits=logits, past_key_values=cache)
