"""Recall of the search on real data: `python bench/retrieval.py [--data DIR] [--json FILE]`, from the project's root.

- help centre: 698 articles, 46 tasks; the query is the whole scenario, the gold its required articles, recall@10 over
  articles (an article stands where its best passage does).
- answerability: every passage of the file is an article; the query is the last message with its history, the gold the
  passages of the row (ANSWERABLE and PARTIAL rows that have any), recall@5.

How well the search tells what can be answered is measured by `bench/quality.py`.

Works in the configured database, in organisations of its own that are rolled back.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "halo.settings")

import django

django.setup()

from django.db import connection, transaction

from agents.knowledge.importing import Draft, import_articles, read_articles
from agents.knowledge.search import Hit, query_text, search
from agents.samples import ANSWERABILITY, can_be_answered, conversation, passages_of, read_rows
from orgs.models import Organization
from orgs.services import create_organization

# Far more passages than articles are asked for, so that ten articles are among them.
PASSAGES = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    figures = help_centre(arguments.data) | answerability(arguments.data)
    for name, value in figures.items():
        print(f"{name:<48} {value:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


@transaction.atomic
def help_centre(data: Path) -> dict[str, float]:
    org = _load("help centre", read_articles(data / "help_centre_articles.jsonl"))
    recalls, milliseconds = [], []
    for task in read_rows(data / "help_centre_tasks.jsonl"):
        began = time.perf_counter()
        hits = search(org_id=org.pk, query=task["scenario"], limit=PASSAGES)
        milliseconds.append((time.perf_counter() - began) * 1000)
        recalls.append(_recall(hits, task["required_documents"], 10))
    transaction.set_rollback(True)
    return {
        "help centre: recall@10": mean(recalls),
        "help centre: search, ms (median, whole scenario)": median(milliseconds),
    }


def answerability(data: Path) -> dict[str, float]:
    return answerability_with_hits(data)[0]


@transaction.atomic
def answerability_with_hits(data: Path) -> tuple[dict[str, float], list[list[Hit]]]:
    """The figures, and what was found for each row of the file."""
    rows = read_rows(data / ANSWERABILITY)
    drafts = (Draft(key, title, text) for key, (title, text) in passages_of(rows).items())
    org = _load("answerability", drafts)
    recalls, milliseconds, found = [], [], []
    for row in rows:
        began = time.perf_counter()
        hits = search(org_id=org.pk, query=query_text(*conversation(row)), limit=PASSAGES)
        milliseconds.append((time.perf_counter() - began) * 1000)
        found.append(hits)
        if can_be_answered(row) and row["passages"]:
            recalls.append(_recall(hits, [passage["id"] for passage in row["passages"]], 5))
    transaction.set_rollback(True)
    return {
        "answerability: recall@5": mean(recalls),
        "answerability: search, ms (median, conversation)": median(milliseconds),
    }, found


def _load(name: str, drafts: Iterable[Any]) -> Organization:
    with connection.cursor() as cursor:
        # Texts are embedded inside the transaction that is rolled back, which takes as long as the machine is busy.
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    org = create_organization(name=f"Benchmark: {name}")
    report = import_articles(org=org, source_name="benchmark", drafts=drafts)
    if report.failed:
        sys.exit(f"{len(report.failed)} articles failed, the first: {report.failed[0]}")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE agents_passage")
    return org


def _recall(hits: list[Hit], gold: list[str], count: int) -> float:
    ranked = list(dict.fromkeys(hit.external_id for hit in hits))[:count]
    return len(set(ranked) & set(gold)) / len(set(gold))


if __name__ == "__main__":
    main()
