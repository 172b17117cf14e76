#!/usr/bin/env python
"""Halo's command line: `manage.py up` runs everything, `manage.py help` lists the rest."""

from __future__ import annotations

import argparse
import os
import sys

from django.core.management import execute_from_command_line

from halo.embedded import EmbeddedError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "halo.settings")
    if sys.argv[1:2] == ["up"]:
        # The settings find databases and keys in the data folder, so it must be known before they load.
        early = argparse.ArgumentParser(add_help=False)
        early.add_argument("--data-dir")
        known, _ = early.parse_known_args(sys.argv[2:])
        if known.data_dir:
            os.environ["HALO_DATA_DIR"] = os.path.abspath(known.data_dir)
    try:
        execute_from_command_line(sys.argv)
    except EmbeddedError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
