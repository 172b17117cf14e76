#!/usr/bin/env python
"""Halo's command line: `manage.py up` runs everything, `manage.py help` lists the rest."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "halo.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
