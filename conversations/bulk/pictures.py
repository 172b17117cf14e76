"""Small PNG images of coloured bars, such as made-up visitors send."""

from __future__ import annotations

import random
import struct
import zlib

WIDTH, HEIGHT = 240, 150


def png(seed: int) -> bytes:
    """A picture that looks like a page from afar; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311
    ground = bytes(chance.randrange(225, 250) for _ in range(3))
    lines = []
    for top in range(0, HEIGHT, 15):
        bar = bytes(chance.randrange(60, 210) for _ in range(3))
        length = chance.randrange(40, WIDTH - 20) if top else WIDTH
        inked = b"\0" + bar * length + ground * (WIDTH - length)
        blank = b"\0" + ground * WIDTH
        lines += [inked] * 8 + [blank] * 7
    pixels = b"".join(lines[:HEIGHT])
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(pixels, 9)), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
