"""`python -m agents.knowledge.documents.child`: reads documents that it is sent, until its input ends.

A request is a line of JSON and, after it, `size` bytes; the answer is a line of JSON.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import resource
import select
import sys
from typing import Any

from agents.knowledge.documents.drafts import Draft, Undecipherable
from agents.knowledge.documents.files import read_file
from agents.knowledge.documents.web import read_page, read_sitemap

MAX_MEMORY = 2 * 1024**3
IDLE_SECONDS = 60.0


def answer(request: dict[str, Any], data: bytes) -> dict[str, Any]:
    """What the document holds, or `error`, a sentence."""
    try:
        if request["what"] == "page":
            page = read_page(data, url=request["url"], charset=request["charset"])
            return {"page": dataclasses.asdict(page)}
        if request["what"] == "sitemap":
            pages, sitemaps = read_sitemap(data)
            return {"pages": pages, "sitemaps": sitemaps}
        found = read_file(request["name"], data)
        drafts = [dataclasses.asdict(item) for item in found if isinstance(item, Draft)]
        notes = [dataclasses.asdict(item) for item in found if not isinstance(item, Draft)]
        return {"drafts": drafts, "notes": notes}
    except Undecipherable as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "It takes more memory to read than a document may."}
    except Exception as error:
        # The parsers are other people's and the documents hostile: one that breaks a parser must not break a reading.
        return {"error": f"It could not be read ({type(error).__name__})."}


def main() -> None:
    # SECURITY: what a document makes a parser do stays in this process, which holds no secret and can be ended.
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    logging.disable(logging.CRITICAL)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a parser that prints must not answer for us
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        # Nobody asks any more: a hundred megabytes are given back.
        while select.select([requests], [], [], IDLE_SECONDS)[0] and (line := requests.readline()):
            request = json.loads(line)
            said = answer(request, requests.read(request["size"]))
            # ASCII: lone surrogates survive until they are replaced where texts are stored.
            answers.write(json.dumps(said).encode() + b"\n")
            answers.flush()


if __name__ == "__main__":
    main()
