"""`manage.py load_articles`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.knowledge.importing import ImportReport, import_articles, read_articles
from halo.errors import HaloError
from orgs.services import find_org

SHOWN_FAILURES = 20
BAR_WIDTH = 30


class Command(BaseCommand):
    help = (
        "Loads articles into an organisation's knowledge, so that its agents can quote them. PATH is a file or a "
        "folder, read with all its subfolders: .jsonl (one object a line with id, title, content as Markdown and, if "
        "you like, url), .md, .markdown and .txt (one article each; its id is its path below PATH, its title the first "
        "heading, else the first line). Loading again brings what has changed up to date and costs next to nothing for "
        "the rest; articles that are no longer in PATH stay. Ends with status 1 if any article failed; the others are "
        "loaded nevertheless."
    )

    _tenths = 0

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", metavar="PATH", help="the file or folder to load")
        parser.add_argument("--org", required=True, metavar="ID", help="the organisation's id or slug")
        parser.add_argument(
            "--source",
            metavar="NAME",
            help="the source that the articles belong to; ids are unique in it (default: PATH's name without suffix)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["path"]).absolute()
        name = (path.stem if options["source"] is None else options["source"]).strip()
        if not 0 < len(name) <= 200:
            raise CommandError("The name of the source is 1 to 200 characters.")
        began = time.monotonic()
        try:
            org = find_org(options["org"])
            drafts = list(read_articles(path))
            if not drafts:
                raise CommandError(f"Found no articles in {path}.")
            report = import_articles(
                org=org, source_name=name, drafts=drafts, progress=lambda done: self._show(done, len(drafts))
            )
        except HaloError as error:
            raise CommandError(error.message) from None
        self._summarise(report, len(drafts), time.monotonic() - began, f"{org.name}, source “{name}”")

    def _show(self, done: int, total: int) -> None:
        """A bar that is drawn over itself on a terminal, a line every tenth of the way elsewhere."""
        if self.stderr.isatty():
            filled = BAR_WIDTH * done // total
            bar = f"\r[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done} of {total} articles"
            self.stderr.write(bar, style_func=str, ending="\n" if done == total else "")
            self.stderr.flush()
        elif done == total or done * 10 // total > self._tenths:
            self._tenths = done * 10 // total
            self.stderr.write(f"{done} of {total} articles", style_func=str)

    def _summarise(self, report: ImportReport, total: int, seconds: float, where: str) -> None:
        self.stdout.write(
            f"{total} articles for {where}: {report.created} created, {report.updated} updated, "
            f"{report.unchanged} unchanged, {len(report.failed)} failed. {report.passages} passages in {seconds:.1f} s"
            + (f" ({report.passages / seconds:.1f} passages/s)." if report.passages else ".")
        )
        if report.failed:
            shown = [f"  {where}: {reason}" for where, reason in report.failed[:SHOWN_FAILURES]]
            if len(report.failed) > SHOWN_FAILURES:
                shown.append(f"  and {len(report.failed) - SHOWN_FAILURES} more")
            raise CommandError("\n".join(["Not loaded:", *shown]))
