"""Speed of `load_articles`: `python bench/ingest.py [--data DIR] [--articles N]`, from the project's root.

Loads the help centre's articles into an organisation of its own in the configured database, loads them again, prints
passages/s, and rolls everything back.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "halo.settings")

import django

django.setup()

from django.db import transaction

from agents.knowledge.embedding import embed
from agents.knowledge.importing import import_articles, read_articles
from orgs.services import create_organization


@transaction.atomic
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", metavar="DIR")
    parser.add_argument("--articles", type=int, metavar="N", help="only the first N")
    arguments = parser.parse_args()
    drafts = list(islice(read_articles(arguments.data / "help_centre_articles.jsonl"), arguments.articles))
    org = create_organization(name="Benchmark: ingestion")
    embed(["The model is loaded before the clock starts."])
    for name in ("first load", "second load"):
        wall, cpu = time.perf_counter(), time.process_time()
        report = import_articles(org=org, source_name="benchmark", drafts=drafts)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(
            f"{name}: {len(drafts)} articles, {report.passages} passages in {wall:.1f} s "
            f"({report.passages / wall:.1f} passages/s, {cpu:.1f} s of CPU)"
        )
    print(f"largest memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    transaction.set_rollback(True)


if __name__ == "__main__":
    main()
