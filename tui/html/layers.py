"""Draws how alike inner layers are: each layer's mean with its interval, and a heat map of every pair of replicas."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

from markupsafe import Markup

from engine.study.similarity_record import ArmSimilarity, LayerPairs
from tui.html.drawing import tag
from tui.text.counts import plural

MOST_ARMS, MOST_LAYERS, MOST_REPLICAS = 12, 8, 64
"""What is drawn of heat maps at most."""

LIGHT, DARK = (247, 251, 255), (8, 48, 107)
"""Colours of CKA 0 and 1."""

STEPS = 64
"""Shades."""


def list_shown_layers(layers: Sequence[LayerPairs]) -> list[LayerPairs]:
    """Return the layers that are drawn: all of them, or evenly spaced ones with the first and the last."""
    if len(layers) <= MOST_LAYERS:
        return list(layers)
    return [layers[round(place * (len(layers) - 1) / (MOST_LAYERS - 1))] for place in range(MOST_LAYERS)]


def draw_heat(arm: ArmSimilarity, layer: LayerPairs) -> Markup | None:
    """Draw the CKA of every pair of an arm's replicas in a layer; None where there are fewer than two."""
    size = min(len(layer.runs), MOST_REPLICAS)
    if size < 2:
        return None
    square = [row[:size] for row in layer.cka[:size]]
    pairs = [square[i][j] for i in range(size) for j in range(i)]
    ends = f"{min(pairs):.3f} to {max(pairs):.3f}"
    told = f"{arm.name}, {layer.name}: CKA of {plural(len(pairs), 'pair')} of replicas, {ends}"
    picture = tag("img", src=encode_heat(square), alt=told, title=told, width=size, height=size)
    # An image has no end tag.
    picture = Markup(str(picture).removesuffix("</img>"))
    range_told = f"{min(pairs):.2f} to {max(pairs):.2f}"
    return tag("figure", picture, tag("figcaption", layer.name, tag("span", range_told)), class_="heat")


def encode_heat(square: Sequence[Sequence[float]]) -> str:
    """Return a picture of numbers from 0 to 1, a pixel each, as the address of a PNG that holds itself."""
    size = len(square)
    rows = b"".join(b"\0" + bytes(_choose_shade(value) for value in row) for row in square)
    palette = b"".join(
        bytes(round(low + (high - low) * step / (STEPS - 1)) for low, high in zip(LIGHT, DARK, strict=True))
        for step in range(STEPS)
    )
    header = struct.pack(">IIBBBBB", size, size, 8, 3, 0, 0, 0)
    parts = {b"IHDR": header, b"PLTE": palette, b"IDAT": zlib.compress(rows, 9), b"IEND": b""}
    content = b"\x89PNG\r\n\x1a\n" + b"".join(_pack(kind, part) for kind, part in parts.items())
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _choose_shade(value: float) -> int:
    return round(min(1.0, max(0.0, value)) * (STEPS - 1))


def _pack(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
