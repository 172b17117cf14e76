"""Speed of the search in large knowledge: `python bench/search_scale.py [--passages N] [--queries N] [--json FILE]`.

One organisation with N passages in four sources, one with 20,000 and twenty with 500, all in one table. Their texts
are made of phrases of customer support, every one with an article number of its own; the vectors are those of 1,000
such texts, each passage's turned a little at random, so that they lie in clusters as real ones do. Prints how long
building took, sizes, and for each kind of search the milliseconds (with and without embedding the question), recall
of the approximate search against the exact one, whether article numbers are found, and what the machine was doing.
`--explain` prints the plan of a search in the large organisation. Starts servers of its own, gone afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median, quantiles
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from halo.embedded.servers import throw_away_servers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=200_000, metavar="N", help="of the largest organisation")
    parser.add_argument("--queries", type=int, default=60, metavar="N", help="of each kind")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--explain", action="store_true", help="print the plan of a search in the largest organisation")
    return parser.parse_args()


# Before the servers, so that --help starts none; and those before the settings, which want their addresses.
ARGUMENTS = _arguments()
UNTIL_THE_END = ExitStack()
_endpoints = UNTIL_THE_END.enter_context(throw_away_servers())
os.environ.update(
    DATABASE_URL=_endpoints.database_url,
    REDIS_URL=_endpoints.redis_url,
    HALO_DATA_DIR=UNTIL_THE_END.enter_context(tempfile.TemporaryDirectory(prefix="halo-scale-")),
    DJANGO_SETTINGS_MODULE="halo.settings",
)

import django

django.setup()

import numpy as np
from django.core.management import call_command
from django.db import connection
from pgvector import Vector

from agents.knowledge import search as searching
from agents.knowledge.embedding import Vectors, embed
from agents.knowledge.models import Article, Source
from agents.knowledge.search import Hit, query_text, query_vector, search
from orgs.models import Organization
from orgs.services import create_organization

SEEDS = 1_000
SOURCES = 4
MIDDLE, SMALL, SMALL_ONES = 20_000, 500, 20
PASSAGES_AN_ARTICLE = 4
# How far a passage's vector is turned away from its seed's: cosines of about 0.8 within a cluster.
TURN = 0.75

WHO = "customers members teams administrators owners guests visitors resellers students drivers".split()
DOES = "change cancel renew export delete share pause transfer dispute verify restore upgrade".split()
WHAT = (
    "a subscription|an invoice|a refund|the billing address|a password|a two-factor device|an order|a return label|"
    "a gift card|a delivery window|a workspace|an API token|a webhook|a travel notice|a debit card|a warranty claim|"
    "a loyalty account|an exchange rate|a tax form|a fingerprint sensor"
).split("|")
WHERE = (
    "in the app|on the website|at the counter|by telephone|in the settings|under Security|from the dashboard|"
    "in the partner portal|during checkout|after signing in"
).split("|")
WHEN = (
    "within 14 days|at any time|before the period ends|once the parcel has arrived|on working days|after verification|"
    "while the trial lasts|as soon as the payment has cleared"
).split("|")
THEN = (
    "A confirmation is sent by e-mail.|The change takes effect at once.|A fee may apply.|A teammate checks it by hand.|"
    "The old one stops working.|Nothing is charged until then.|It cannot be undone.|The history stays visible."
).split("|")


def sentence(chance: random.Random) -> str:
    who, does, what = chance.choice(WHO), chance.choice(DOES), chance.choice(WHAT)
    return f"{who.capitalize()} can {does} {what} {chance.choice(WHERE)} {chance.choice(WHEN)}. {chance.choice(THEN)}"


def seed_text(chance: random.Random) -> str:
    return " ".join(sentence(chance) for _ in range(chance.randint(3, 6)))


def number_of(org: int, passage: int) -> str:
    return f"KB{org:02d}-{passage:06d}"


class Builder:
    """Fills organisations with passages, by COPY."""

    def __init__(self) -> None:
        self.chance = random.Random(7)
        self.noise = np.random.default_rng(7)
        self.texts = [seed_text(self.chance) for _ in range(SEEDS)]
        self.vectors = embed(self.texts)
        self.orgs: list[tuple[Organization, list[Source]]] = []

    def fill(self, name: str, passages: int) -> None:
        org = create_organization(name=name)
        sources = [Source.objects.create(org=org, name=f"Part {number}") for number in range(SOURCES)]
        self.orgs.append((org, sources))
        articles = [
            Article(org=org, source=sources[number % SOURCES], external_id=str(number), title=f"Article {number}")
            for number in range(passages // PASSAGES_AN_ARTICLE)
        ]
        Article.objects.bulk_create(articles, batch_size=5_000)
        with connection.cursor() as cursor:
            # The trigger's look-up was planned for a nearly empty table, and one COPY never plans anew.
            cursor.execute("ANALYZE agents_article")
        columns = "org_id, article_id, position, heading, text, embedding"
        with connection.cursor() as cursor, cursor.copy(f"COPY agents_passage ({columns}) FROM STDIN") as copy:
            for number, (text, vector) in enumerate(self._passages(passages)):
                article = articles[number // PASSAGES_AN_ARTICLE]
                label = number_of(len(self.orgs), number)
                row = (org.pk, article.pk, number % PASSAGES_AN_ARTICLE, article.title, f"{text} See {label}.", vector)
                copy.write_row(row)

    def _passages(self, count: int) -> Iterator[tuple[str, str]]:
        for number in range(count):
            seed = number % SEEDS
            words = f"{self.texts[seed]} {sentence(self.chance)}"
            turn = self.noise.normal(size=self.vectors.shape[1]).astype(np.float32)
            turned = self.vectors[seed] + TURN * turn / np.linalg.norm(turn)
            yield words, Vector(turned / np.linalg.norm(turned)).to_text()


def questions(count: int) -> list[list[str]]:
    chance = random.Random(11)
    asked = []
    for number in range(count):
        does, what, where = chance.choice(DOES), chance.choice(WHAT), chance.choice(WHERE)
        message = f"Hello, how do I {does} {what} {where}? I tried it yesterday and it did not work."
        history = [sentence(chance), sentence(chance)] if number % 2 else []
        asked.append(query_text(message, history))
    return asked


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 1), "p95": round(quantiles(values, n=20)[-1], 1)}


def measure(org: Organization, asked: list[list[str]], sources: list[uuid.UUID] | None = None) -> dict[str, object]:
    vectors = [query_vector(texts) for texts in asked]
    for texts, vector in zip(asked[:10], vectors, strict=False):
        search(org_id=org.pk, query=texts, sources=sources, vector=vector)
    alone = [
        timed(lambda t=texts, v=vector: search(org_id=org.pk, query=t, sources=sources, vector=v))  # type: ignore[misc]
        for texts, vector in zip(asked, vectors, strict=True)
    ]
    whole = [timed(lambda t=texts: search(org_id=org.pk, query=t, sources=sources)) for texts in asked]  # type: ignore[misc]
    return {
        "ms with embedding": spread(whole),
        "ms without": spread(alone),
        "recall@10 against exact": round(recall(org, asked[:20], vectors, sources), 3),
    }


def recall(org: Organization, asked: list[list[str]], vectors: list[Vectors], sources: list[uuid.UUID] | None) -> float:
    def found(texts: list[str], vector: Vectors) -> list[Hit]:
        return search(org_id=org.pk, query=texts, limit=10, sources=sources, vector=vector)

    shares = []
    for texts, vector in zip(asked, vectors, strict=False):
        quick = {hit.passage_id for hit in found(texts, vector)}
        with patch.object(searching, "EXACT_UP_TO", 10**9):
            exact = {hit.passage_id for hit in found(texts, vector)}
        shares.append(len(quick & exact) / len(exact))
    return mean(shares)


def identifiers_found(number: int, org: Organization, passages: int) -> float:
    chance = random.Random(13)
    found = []
    for _ in range(20):
        label = number_of(number, chance.randrange(passages))
        hits = search(org_id=org.pk, query=f"{sentence(chance)} {sentence(chance)} What does {label} say?", limit=8)
        found.append(any(label in hit.text for hit in hits))
    return mean(found)


def machine() -> str:
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{os.cpu_count()} cores, load {busy} (1, 5, 15 min)"


def main() -> None:
    call_command("migrate", interactive=False, verbosity=0)
    figures: dict[str, object] = {"machine before": machine()}
    began = time.perf_counter()
    builder = Builder()
    figures["seconds to embed the seeds"] = round(time.perf_counter() - began, 1)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    plan = [("small", SMALL)] * (SMALL_ONES // 2) + [("large", ARGUMENTS.passages), ("middle", MIDDLE)]
    plan += [("small", SMALL)] * (SMALL_ONES - SMALL_ONES // 2)
    began = time.perf_counter()
    for number, (name, passages) in enumerate(plan):
        builder.fill(f"{name} {number}", passages)
    figures["seconds to store all passages"] = round(time.perf_counter() - began, 1)
    with connection.cursor() as cursor:
        figures["seconds to vacuum and analyse"] = round(timed(lambda: cursor.execute("VACUUM ANALYZE")) / 1000, 1)
        cursor.execute(
            "SELECT relname, pg_size_pretty(pg_relation_size(oid)) FROM pg_class"
            " WHERE relname LIKE %s OR relname LIKE %s ORDER BY pg_relation_size(oid) DESC LIMIT 8",
            ["agents_passage%", "passage_%"],
        )
        figures["sizes"] = dict(cursor.fetchall())
    asked = questions(ARGUMENTS.queries)
    figures["ms to embed a question"] = spread([timed(lambda t=texts: query_vector(t)) for texts in asked])  # type: ignore[misc]
    large, middle = SMALL_ONES // 2, SMALL_ONES // 2 + 1
    (big, parts), (mid, _) = builder.orgs[large], builder.orgs[middle]
    figures[f"search, {SMALL} passages"] = measure(builder.orgs[0][0], asked)
    figures[f"search, {MIDDLE} passages"] = measure(mid, asked)
    figures[f"search, {ARGUMENTS.passages} passages"] = measure(big, asked)
    figures[f"search, {ARGUMENTS.passages} passages, one source"] = measure(big, asked, [parts[0].pk])
    figures[f"search, {ARGUMENTS.passages} passages, three sources"] = measure(big, asked, [p.pk for p in parts[:3]])
    figures["article numbers found"] = identifiers_found(large + 1, big, ARGUMENTS.passages)
    figures["machine after"] = machine()
    print(json.dumps(figures, indent=2))
    if ARGUMENTS.json:
        ARGUMENTS.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if ARGUMENTS.explain:
        explain(big, asked[0])


def explain(org: Organization, texts: list[str]) -> None:
    """Runs one search again with its statements explained."""

    def explained(execute: Callable[..., object], sql: str, params: object, many: bool, context: object) -> object:
        if sql.lstrip().startswith(("WITH", "SELECT count")):
            with connection.connection.cursor() as cursor:
                for (line,) in cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params):
                    print(line)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explained):
        search(org_id=org.pk, query=texts)


if __name__ == "__main__":
    with UNTIL_THE_END:
        main()
