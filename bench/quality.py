"""Quality of answers on real data: `python bench/quality.py [--data DIR] [--json FILE] [--no-fit]`, from the root.

Prints a line for each measure: value, the bar it must reach, what we aim for. Ends with status 1 below a bar.
DIR holds answer_faithfulness.jsonl, answerability.jsonl, help_centre_articles.jsonl and help_centre_tasks.jsonl.
Without --no-fit the heads are fitted on it, each row rated by heads that saw no row of its question; with it the
heads of agents/confidence.json are applied as they are. Starts servers of its own, which are gone afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from halo.embedded.servers import throw_away_servers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--no-fit", action="store_true", help="apply the committed heads instead of fitting new ones")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        parser.error(f"there is no folder {arguments.data}")
    return arguments


# Before the servers, so that --help starts none; and those before the settings, which want their addresses.
ARGUMENTS = _arguments()
UNTIL_THE_END = ExitStack()
_endpoints = UNTIL_THE_END.enter_context(throw_away_servers())
os.environ.update(
    DATABASE_URL=_endpoints.database_url,
    REDIS_URL=_endpoints.redis_url,
    HALO_DATA_DIR=UNTIL_THE_END.enter_context(tempfile.TemporaryDirectory(prefix="halo-quality-")),
    DJANGO_SETTINGS_MODULE="halo.settings",
)

import django

django.setup()

from django.core.management import call_command

from agents import confidence, fitting, samples
from bench import retrieval
from conversations import thinking


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure with its bars; of errors the lower one is the better."""

    name: str
    value: float
    bar: float
    aim: float
    lower_is_better: bool = False

    def reaches(self, bar: float) -> bool:
        return self.value <= bar if self.lower_is_better else self.value >= bar

    def __str__(self) -> str:
        verdict = "FAIL" if not self.reaches(self.bar) else "pass, aim reached" if self.reaches(self.aim) else "pass"
        sign = "<=" if self.lower_is_better else ">="
        return f"{self.name:<62} {self.value:.3f}   bar {sign} {self.bar:.2f}   aim {sign} {self.aim:.2f}   {verdict}"


def main() -> int:
    began = time.monotonic()
    call_command("migrate", interactive=False, verbosity=0)
    found = measures(ARGUMENTS.data, apply=ARGUMENTS.no_fit)
    how = f"head {confidence.head_version()} applied" if ARGUMENTS.no_fit else "cross-validated by question"
    for measure in found:
        print(measure)
    print(f"{how}; {time.monotonic() - began:.0f} s")
    if ARGUMENTS.json:
        written = {"how": how, "measures": [_as_json(measure) for measure in found]}
        ARGUMENTS.json.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return 0 if all(measure.reaches(measure.bar) for measure in found) else 1


def measures(data: Path, *, apply: bool) -> list[Measure]:
    questions = samples.read_rows(data / samples.ANSWERABILITY)
    recall, hits = retrieval.answerability_with_hits(data)
    shown = [thinking.numbered(found[: thinking.EXCERPTS]) for found in hits]
    answerable = samples.answerability_samples(questions, shown)
    answers = samples.faithfulness_samples(samples.read_rows(data / samples.FAITHFULNESS))
    if apply:
        rated = fitting.applied(answers, confidence.CONFIDENCE), fitting.applied(answerable, confidence.ANSWERABILITY)
    else:
        answers = fitting.rated(answers, fitting.fit(answerable, fitting.ANSWERABILITY_TRAITS))
        rated = (
            fitting.cross_validated(answers, fitting.CONFIDENCE_TRAITS),
            fitting.cross_validated(answerable, fitting.ANSWERABILITY_TRAITS),
        )
    faithful, answered = fitting.judged(rated[0], answers.truth), fitting.judged(rated[1], answerable.truth)
    return [
        Measure("confidence: AUROC against faithfulness > 3", faithful["auroc"], 0.87, 0.93),
        Measure("confidence: ECE, 10 equal-mass bins", faithful["ece"], 0.09, 0.04, lower_is_better=True),
        Measure("confidence: Brier", faithful["brier"], 0.13, 0.10, lower_is_better=True),
        Measure("answerability: AUROC, answerable + partial against the rest", answered["auroc"], 0.78, 0.88),
        Measure("help centre: recall@10", retrieval.help_centre(data)["help centre: recall@10"], 0.34, 0.50),
        Measure("answerability: recall@5", recall["answerability: recall@5"], 0.94, 0.98),
    ]


def _as_json(measure: Measure) -> dict[str, Any]:
    return {
        "name": measure.name,
        "value": round(measure.value, 4),
        "bar": measure.bar,
        "aim": measure.aim,
        "passed": measure.reaches(measure.bar),
        "aim_reached": measure.reaches(measure.aim),
    }


if __name__ == "__main__":
    with UNTIL_THE_END:
        sys.exit(main())
