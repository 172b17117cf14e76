"""Recall of the search on real data: `python bench/retrieval.py [--data DIR] [--json FILE]`, from the project's root.

- help centre: 698 articles, 46 tasks; the query is the whole scenario, the gold its required articles, recall@10 over
  articles (an article stands where its best passage does).
- answerability: every passage of the file is an article; the query is the last message with its history, the gold the
  passages of the row (ANSWERABLE and PARTIAL rows that have any), recall@5. With it the AUROC of the best similarity
  for "can be answered" (ANSWERABLE and PARTIAL against the rest), over all rows.

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
    for task in _rows(data / "help_centre_tasks.jsonl"):
        began = time.perf_counter()
        hits = search(org_id=org.pk, query=task["scenario"], limit=PASSAGES)
        milliseconds.append((time.perf_counter() - began) * 1000)
        recalls.append(_recall(hits, task["required_documents"], 10))
    transaction.set_rollback(True)
    return {
        "help centre: recall@10": mean(recalls),
        "help centre: search, ms (median, whole scenario)": median(milliseconds),
    }


@transaction.atomic
def answerability(data: Path) -> dict[str, float]:
    rows = _rows(data / "answerability.jsonl")
    pool = {passage["id"]: passage["text"] for row in rows for passage in row["passages"]}
    # The title must say nothing that the passage does not: its first words.
    org = _load("answerability", (Draft(key, " ".join(text.split()[:8]), text) for key, text in pool.items()))
    recalls, milliseconds, answerable, others = [], [], [], []
    for row in rows:
        *history, message = (line["text"] for line in row["messages"])
        began = time.perf_counter()
        hits = search(org_id=org.pk, query=query_text(message, history), limit=PASSAGES)
        milliseconds.append((time.perf_counter() - began) * 1000)
        best = max(hit.score for hit in hits)
        if row["answerability"] in ("ANSWERABLE", "PARTIAL"):
            answerable.append(best)
            if row["passages"]:
                recalls.append(_recall(hits, [passage["id"] for passage in row["passages"]], 5))
        else:
            others.append(best)
    transaction.set_rollback(True)
    wins = mean((a > b) + (a == b) / 2 for a in answerable for b in others)
    return {
        "answerability: recall@5": mean(recalls),
        "answerability: AUROC of the best similarity": wins,
        "answerability: search, ms (median, conversation)": median(milliseconds),
    }


def _load(name: str, drafts: Iterable[Any]) -> Organization:
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


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
