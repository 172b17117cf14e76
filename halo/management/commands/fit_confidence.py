"""`manage.py fit_confidence`."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents import fitting, samples

IN_USE = settings.BASE_DIR / "agents" / "confidence.json"


class Command(BaseCommand):
    help = (
        "Fits the weights behind the confidence of answers to what people said about answers, and writes them with "
        "their figures. Reads answer_faithfulness.jsonl (task, answer, messages, passages, human.faithfulness) and "
        "answerability.jsonl (conversation, messages, passages, answerability) in DIR. The same data gives the same "
        "file. Needs no database; takes about a minute. Processes take the new weights up when they start."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        shared = settings.BASE_DIR.parent / "shared" / "data"
        parser.add_argument("--data", type=Path, default=shared, metavar="DIR", help=f"default: {shared}")
        parser.add_argument("--out", type=Path, default=IN_USE, metavar="FILE", help=f"default: {IN_USE}")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["data"]
        try:
            sources = {name: _digest(folder / name) for name in (samples.ANSWERABILITY, samples.FAITHFULNESS)}
            questions = samples.read_rows(folder / samples.ANSWERABILITY)
            answers = samples.read_rows(folder / samples.FAITHFULNESS)
            pool = samples.Pool(samples.passages_of(questions))
            answerability = samples.answerability_samples(
                questions, [pool.search(*samples.conversation(row)) for row in questions]
            )
            faithfulness = samples.faithfulness_samples(answers)
        except OSError as error:
            raise CommandError(f"Cannot read {error.filename}: {error.strerror}.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise CommandError(f"The data has not the shape that is expected: {error!r}.") from None
        for name, rows in (("answerability", answerability), ("faithfulness", faithfulness)):
            if len(set(rows.groups)) < 2 or not 0 < rows.truth.mean() < 1:
                raise CommandError(f"The {name} data needs rows of both kinds, of two questions at least.")
        written = fitting.document(answerability=answerability, faithfulness=faithfulness, sources=sources)
        options["out"].write_text(_printed(written), encoding="utf-8")
        for name in ("answerability", "confidence"):
            head: Any = written[name]
            measured = ", ".join(f"{figure} {value:.3f}" for figure, value in head["cross_validated"].items())
            self.stdout.write(f"{name}: {head['rows']} rows of {head['groups']} questions, cross-validated {measured}")
        self.stdout.write(f"Head {written['version']} written to {options['out']}.")


def _printed(written: dict[str, object]) -> str:
    """The document as it is kept: indented, with lists of numbers on one line."""
    text = json.dumps(written, indent=2)
    return re.sub(r"\[\s*(\d[\d.,\s]*?)\s*\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
