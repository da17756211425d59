"""Invented posters: hills under a coloured sky, different for every item and always the same for one item."""

from __future__ import annotations

import colorsys
import functools
import math
import random
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 240, 360
BANDS = 48
HILLS = 4
_SUN, _HILL = BANDS, BANDS + 1


@functools.lru_cache(maxsize=256)
def draw_placeholder(seed: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Draw a landscape and return it as a PNG of some kilobytes."""
    rng = random.Random(seed)  # noqa: S311  # play, not secrets
    ridges = [_draw_ridge(rng, layer, width, height) for layer in range(HILLS)]
    sky = bytes(min(BANDS - 1, y * BANDS // (height * 2 // 3)) for y in range(height))
    sun = (width * rng.uniform(0.2, 0.8), height * rng.uniform(0.18, 0.42), width * rng.uniform(0.09, 0.2))
    columns = [_draw_column(x, sky, sun, [ridge[x] for ridge in ridges]) for x in range(width)]
    return encode_png([bytes(row) for row in zip(*columns, strict=True)], _pick_palette(rng))


def _draw_ridge(rng: random.Random, layer: int, width: int, height: int) -> list[int]:
    """Return how far down a range of hills begins in each column. Nearer ranges lie lower and are rounder."""
    base = height * (0.5 + 0.13 * layer)
    waves = [
        (height * rng.uniform(0.02, 0.09) / (n + 1), rng.uniform(1, 2.5) * (n + 1), rng.uniform(0, math.tau))
        for n in range(3)
    ]
    return [
        round(base + sum(deep * math.sin(math.tau * often * x / width + begin) for deep, often, begin in waves))
        for x in range(width)
    ]


def _draw_column(x: int, sky: bytes, sun: tuple[float, float, float], tops: Sequence[int]) -> bytes:
    middle, down, radius = sun
    column = bytearray(sky)
    half = radius**2 - (x - middle) ** 2
    if half > 0:
        above, below = round(down - math.sqrt(half)), round(down + math.sqrt(half))
        column[above:below] = bytes([_SUN]) * (below - above)
    for layer, top in enumerate(tops):
        column[top:] = bytes([_HILL + layer]) * (len(column) - top)
    return bytes(column)


def _pick_palette(rng: random.Random) -> bytes:
    hue, other = rng.random(), rng.uniform(0.06, 0.16)
    sky = [_convert_rgb(hue + other * n / BANDS, 0.62 - 0.4 * n / BANDS, 0.36 + 0.55 * n / BANDS) for n in range(BANDS)]
    hills = [_convert_rgb(hue + 0.04 * n, 0.38 + 0.08 * n, 0.56 - 0.13 * n) for n in range(HILLS)]
    return b"".join([*sky, _convert_rgb(hue + other * 2, 0.25, 0.98), *hills])


def _convert_rgb(hue: float, saturation: float, value: float) -> bytes:
    return bytes(round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def encode_png(rows: Sequence[bytes], palette: bytes) -> bytes:
    """Encode a picture as a PNG; its bytes are positions in the palette."""

    def encode_chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    lines = b"".join(b"\x00" + row for row in rows)
    parts = (
        encode_chunk(b"IHDR", head),
        encode_chunk(b"PLTE", palette),
        encode_chunk(b"IDAT", zlib.compress(lines)),
        encode_chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
