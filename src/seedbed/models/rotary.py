"""The arithmetic of Llama-like blocks on tokens in one line, whatever sequences they belong to.

Norms, projections and MLPs treat each token alone, so tokens of many sequences and lengths run
as one matrix; only attention needs to know what belongs together, and its caller does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from seedbed.models.blocks import blocks_of, plain

# Tokens that go through an MLP at once, so that what it widens to stays in the cache.
STRIPE = 512
PARTS = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
MLP = {"gate_proj", "up_proj", "down_proj"}
# Rotary embeddings whose angles do not depend on how long the input is.
ROPES = {"default", "linear", "llama3", "yarn"}

# (queries [tokens, heads, size], keys and values [tokens, key heads, size]) → [tokens, width]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Rotary:
    """A Llama-like causal model taken apart: pre-norm blocks, rotary positions, gated MLP."""

    model: Any
    layers: tuple[Any, ...]
    heads: int
    key_heads: int
    size: int

    @property
    def width(self) -> int:
        """Numbers in the residual stream of one token."""
        return int(self.model.get_input_embeddings().weight.shape[1])

    @property
    def context(self) -> int:
        """Most tokens that it was made for."""
        return int(self.model.config.get_text_config().max_position_embeddings)

    def embed(self, ids: Tensor) -> Tensor:
        """What the first block takes in: ids [tokens] → [tokens, width]."""
        found: Tensor = self.model.get_input_embeddings()(ids)
        return found

    def angles(self, length: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """(cosines, sines) of positions below `length`, each [length, 1, size]."""
        places = torch.arange(length, device=like.device)[None]
        cos, sin = self.model.model.rotary_emb(like[None], position_ids=places)
        return cos[0, :, None], sin[0, :, None]

    def keys_values(
        self, layer: int, normed: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(turned keys, values) [tokens, key heads, size] of normed tokens; angles per token."""
        attention = self.layers[layer].self_attn
        keys = attention.k_proj(normed).view(-1, self.key_heads, self.size)
        values = attention.v_proj(normed).view(-1, self.key_heads, self.size)
        if hasattr(attention, "k_norm"):
            keys = attention.k_norm(keys)
        return _turned(keys, cos, sin), values

    def queries(self, layer: int, normed: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Turned queries [tokens, heads, size] of normed tokens; angles per token."""
        attention = self.layers[layer].self_attn
        found = attention.q_proj(normed).view(-1, self.heads, self.size)
        if hasattr(attention, "q_norm"):
            found = attention.q_norm(found)
        return _turned(found, cos, sin)

    def normed(self, layer: int, x: Tensor) -> Tensor:
        """What attention reads of the stream [tokens, width]."""
        found: Tensor = self.layers[layer].input_layernorm(x)
        return found

    def projected(self, layer: int, heads: Tensor) -> Tensor:
        """The attention output of what the heads give [tokens, heads × size]."""
        found: Tensor = self.layers[layer].self_attn.o_proj(heads)
        return found

    def mlp(self, layer: int, x: Tensor) -> Tensor:
        """What the MLP adds to the stream x [tokens, width], its norm included."""
        block = self.layers[layer]
        parts = [block.mlp(block.post_attention_layernorm(part)) for part in torch.split(x, STRIPE)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def logits(self, x: Tensor, rows: Tensor | None) -> Tensor:
        """Logits of the last block's stream x [n, width]: all, or the ids `rows` [n, k] of each."""
        x = self.model.model.norm(x)
        head = self.model.get_output_embeddings()
        if rows is None or type(head) is not torch.nn.Linear:
            found: Tensor = head(x)
            return found if rows is None else found.gather(1, rows)
        picked = torch.einsum("nkw,nw->nk", head.weight[rows], x)
        return picked if head.bias is None else picked + head.bias[rows]


def rotary_of(model: Any, longest: int) -> Rotary | str:
    """The model taken apart, or why it cannot be: what its blocks lack or have besides.

    `longest` is the most tokens in a sequence; a window shorter than that is refused. What a
    structure cannot show, such as a scaled residual, the caller must find by trying.
    """
    model = plain(model)
    config = model.config.get_text_config()
    body = getattr(model, "model", None)
    if body is None or _children(body) != {"embed_tokens", "layers", "norm", "rotary_emb"}:
        return "its body is not embeddings, blocks, a norm and rotary positions"
    rope = getattr(body.rotary_emb, "rope_type", None)
    if not isinstance(rope, str) or rope not in ROPES:
        return "its rotary positions depend on the length of the input"
    for name in ("attn_logit_softcapping", "final_logit_softcapping"):
        if getattr(config, name, None):
            return f"it has {name}"
    windows = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None) or longest
    if windows - {"full_attention", "sliding_attention"} or (
        window < longest and getattr(config, "use_sliding_window", True)
    ):
        return "not every block attends to all earlier tokens"
    blocks = blocks_of(model).modules
    if any(_is_hooked(module) for b in blocks for module in (b, getattr(b, "self_attn", b))):
        return "its blocks carry hooks, which would not be called"
    for block in blocks:
        if _children(block) != PARTS:
            return f"a block consists of {', '.join(sorted(_children(block)))}"
        found = _children(block.self_attn)
        if found not in (ATTENTION, ATTENTION | {"q_norm", "k_norm"}):
            return "its attention has other parts than queries, keys, values and output"
        if _children(block.mlp) - {"act_fn"} != MLP:
            return "its MLP has other parts than gate, up and down"
    attention: Any = blocks[0].self_attn
    size = int(attention.head_dim)
    heads = int(config.num_attention_heads)
    return Rotary(model, blocks, heads, int(config.num_key_value_heads), size)


def attention(
    queries: Tensor, keys: Tensor, values: Tensor, scale: float, mask: Tensor | None
) -> Tensor:
    """Attention of [rows, n, heads, size] to [rows, m, key heads, size] → [rows, n, heads · size].

    `mask` is true where a query may look; it must broadcast to [rows, heads, n, m].
    """
    found = functional.scaled_dot_product_attention(
        queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2),
        attn_mask=mask, scale=scale, enable_gqa=queries.shape[2] != keys.shape[2],
    )  # fmt: skip
    return found.transpose(1, 2).flatten(2)


def _is_hooked(module: Any) -> bool:
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    # transformers leaves its own behind once hidden states were asked for; they only look.
    foreign = [h for h in hooks if not getattr(h, "__module__", "").startswith("transformers.")]
    # accelerate puts a forward of its own in place of the class's.
    return bool(foreign) or "forward" in vars(module)


def _children(module: Any) -> set[str]:
    return {name for name, _ in module.named_children()}


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return torch.addcmul(x * cos, turned, sin)
