"""The network: a Llama of about five million parameters, written so that its tensors carry Hugging Face's names."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Layout:
    """Who sees whom in rows that hold several conversations."""

    mask: Tensor
    """`[pieces, 1, size, size]`, added to the attention's scores; rows are cut into pieces of `size` tokens."""
    positions: Tensor
    """`[pieces, size]`: where every token stands in its conversation."""


@dataclass(frozen=True)
class Shape:
    """The size of the network. Every row length is a multiple of 256, so that llama.cpp's K-quants apply."""

    vocabulary: int = 2048
    width: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 768
    context: int = 2048
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        """Numbers per head."""
        return self.width // self.heads


def rope_tables(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every position, each `[context, head_dim]`, in the half-split layout of Hugging Face."""
    frequencies = shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2).float() / shape.head_dim)
    angles = torch.outer(torch.arange(shape.context).float(), frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns `[batch, heads, time, head_dim]` by the angles of its positions."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-right, left), dim=-1) * sin


class Norm(nn.Module):
    """RMSNorm; the mean is taken in float32 whatever the stream is in."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.eps = shape.norm_eps
        self.weight = nn.Parameter(torch.ones(shape.width))

    def forward(self, x: Tensor) -> Tensor:
        """`[..., width]` in and out."""
        squares = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).square()
        scale = (squares / x.shape[-1] + self.eps).rsqrt()
        return x * scale.to(x.dtype) * self.weight.to(x.dtype)


class Attention(nn.Module):
    """Grouped-query causal attention."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        kv_width = shape.kv_heads * shape.head_dim
        self.q_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.k_proj = nn.Linear(shape.width, kv_width, bias=False)
        self.v_proj = nn.Linear(shape.width, kv_width, bias=False)
        self.o_proj = nn.Linear(shape.width, shape.width, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: list[Tensor] | None, mask: Tensor | None = None
    ) -> Tensor:
        """`[batch, time, width]` in and out; `cache` holds the keys and values of earlier tokens."""
        batch, time, width = x.shape
        q, k, v = (
            projection(x).view(batch, time, -1, self.shape.head_dim).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        if cache is not None:
            if cache:
                k, v = torch.cat((cache[0], k), dim=2), torch.cat((cache[1], v), dim=2)
            cache[:] = [k, v]
        groups = self.shape.heads // self.shape.kv_heads
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        causal = time > 1 and mask is None
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        return self.o_proj(out.transpose(1, 2).reshape(batch, time, width))


class Ffn(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.ffn, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.ffn, bias=False)
        self.down_proj = nn.Linear(shape.ffn, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., width]` in and out."""
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm and added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = Norm(shape)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = Norm(shape)
        self.mlp = Ffn(shape)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: list[Tensor] | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """`[batch, time, width]` in and out."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Guide(nn.Module):
    """The whole network; the input and output embeddings are one matrix."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.stream = torch.float32
        """The type of what flows between the layers; training uses bfloat16 under autocast."""
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape)
        cos, sin = rope_tables(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, ids: Tensor, caches: list[list[Tensor]] | None = None, start: int = 0) -> Tensor:
        """The stream after the last layer; with `caches` (one list per layer), of tokens that begin at `start`."""
        end = start + ids.shape[1]
        x = self.embed_tokens(ids).to(self.stream)
        cos, sin = self.cos[start:end].to(self.stream), self.sin[start:end].to(self.stream)
        for index, layer in enumerate(self.layers):
            x = layer(x, cos, sin, None if caches is None else caches[index])
        return self.norm(x)

    def packed(self, ids: Tensor, layout: Layout) -> Tensor:
        """The stream after the last layer, of rows `[batch, time]` that hold several conversations."""
        x = self.embed_tokens(ids.reshape(layout.positions.shape)).to(self.stream)
        cos, sin = (table[layout.positions][:, None].to(self.stream) for table in (self.cos, self.sin))
        mask = layout.mask.to(self.stream)
        for layer in self.layers:
            x = layer(x, cos, sin, None, mask)
        return self.norm(x).reshape(*ids.shape, -1)

    def logits(self, stream: Tensor) -> Tensor:
        """`[..., vocabulary]` from `[..., width]`."""
        return functional.linear(stream, self.embed_tokens.weight)
