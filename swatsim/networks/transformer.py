"""Transformers: linear layers on sequences. The two products inside attention have no weights, and are no layers.

Sources: Vaswani et al., "Attention Is All You Need", NeurIPS 2017; Dosovitskiy et al., "An Image is Worth 16x16 Words",
ICLR 2021, in the size Ti of Touvron et al., "Training data-efficient image transformers", ICML 2021. Layer norms stand
before what they feed.
"""

from __future__ import annotations

from swatsim.networks.builder import Builder
from swatsim.networks.registry import register


def _block(net: Builder, prefix: str, of: str, heads: int) -> str:
    width = net.shape(of)[-1]
    output = net.linear(f"{prefix}.attn.qkv", net.layer_norm(f"{prefix}.norm1", of), 3 * width)
    output = net.linear(f"{prefix}.attn.proj", net.attention(f"{prefix}.attn", output, heads), width)
    of = net.add(f"{prefix}.add1", of, output)
    output = net.linear(f"{prefix}.mlp.fc1", net.layer_norm(f"{prefix}.norm2", of), 4 * width)
    output = net.linear(f"{prefix}.mlp.fc2", net.gelu(f"{prefix}.mlp.act", output), width)
    return net.add(f"{prefix}.add2", of, output)


@register(
    "vit-tiny", title="ViT-Ti/16",
    source="Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021; Touvron et al., ICML 2021",
    input_shape=(3, 224, 224), classes=1000,
)  # fmt: skip
def _vit_tiny(net: Builder, classes: int) -> None:
    output = net.convolution("patch_embed.proj", "input", 192, 16, stride=16, padding=0, bias=True)
    output = net.tokens("tokens", output)
    for index in range(12):
        output = _block(net, f"blocks.{index}", output, heads=3)
    net.linear("head", net.first_token("class_token", net.layer_norm("norm", output)), classes)


@register(
    "transformer-encoder", title="Transformer encoder of 4 blocks, width 256, on 128 tokens of 64 features",
    source="Vaswani et al., Attention Is All You Need, NeurIPS 2017", input_shape=(128, 64), classes=10,
)  # fmt: skip
def _transformer_encoder(net: Builder, classes: int) -> None:
    output = net.linear("embed", "input", 256)
    for index in range(4):
        output = _block(net, f"blocks.{index}", output, heads=4)
    net.linear("head", net.mean_token("mean_token", net.layer_norm("norm", output)), classes)
