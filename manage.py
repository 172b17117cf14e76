#!/usr/bin/env python
"""Halo's command line: `manage.py up` runs everything, `manage.py help` lists the rest."""

from __future__ import annotations

import os
import sys

from halo import supervisor
from halo.embedded import EmbeddedError


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "halo.settings")
    if sys.argv[1:2] == ["up"]:
        return supervisor.main(sys.argv[2:])
    # `up` does without, as it starts at once and runs for long.
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    try:
        execute_from_command_line(sys.argv)
    except EmbeddedError as error:
        sys.exit(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
