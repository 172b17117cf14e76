"""What a turn costs, and how many there can be: `python bench/load.py [--only NAME] [--short]`, from the root.

Starts the whole product on a folder of its own before a fake model, with a load generator in a process apart, and
prints a table: CPU of a turn over all processes, PostgreSQL and Valkey included; turns a second; added latency; the
first streamed text; a thousand turns at once; two thousand that wait. Beside it, in the same run, a bare proxy that
stores nothing and, where it is installed, LiteLLM's. CPU is read from /proc, and is the figure to trust; clocks say
as much about what else the machine did, which is printed too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import load_rig, machine
from bench.load_measures import MEASURES, Figure
from halo.embedded.processes import raise_file_limit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(MEASURES), metavar="NAME", help=" | ".join(MEASURES))
    parser.add_argument("--short", action="store_true", help="fewer turns: to see that it works")
    parser.add_argument("--litellm", type=Path, metavar="PYTHON", help="the interpreter of an environment that has it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    raise_file_limit()
    wanted = options.only or list(MEASURES)
    busy, began = machine.busy_seconds(), time.monotonic()
    python = f"Python {platform.python_version()} of {sys.base_prefix}"
    print(f"{os.cpu_count()} CPUs; {python}; load average {machine.load_average():.1f} before anything was started.")
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="halo-load-")))
        model = stack.enter_context(load_rig.lean("lean_model"))
        references = [stack.enter_context(load_rig.lean("bare_proxy", str(model.ports[0])))]
        if options.litellm:
            try:
                references.append(stack.enter_context(load_rig.litellm(options.litellm, folder, model)))
            except load_rig.Failed as failed:
                print(f"LiteLLM is left out: {failed}.")
        halo, knowing = stack.enter_context(load_rig.halo(folder / "data", model))
        rig = load_rig.Rig(model, halo, knowing, folder / "data", references)
        for name in MEASURES:
            if name in wanted:
                for figure in MEASURES[name](rig, short=options.short):
                    print(figure, flush=True)
                    figures.append(figure)
    lasted = time.monotonic() - began
    others = {
        "seconds": round(lasted, 1),
        "busy_cpus": round((machine.busy_seconds() - busy) / lasted, 2),
        "foreign_cpu_seconds_under_load": round(rig.foreign, 1),
        "load_average": round(machine.load_average(), 1),
    }
    print(f"{others}; foreign are all processes but those that this bench started.")
    if options.json:
        written = {"machine": others, "figures": [dataclasses.asdict(figure) for figure in figures]}
        options.json.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
