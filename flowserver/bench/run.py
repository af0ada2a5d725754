"""The `flowserver bench` command: which rows on which databases, one table, one JSON file."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import time
from pathlib import Path

from flowserver.bench.figures import HEAD, Row
from flowserver.bench.ground import Databases

KINDS = ("sqlite", "postgresql")
NAMES = ("steps", "mails", "build", "whole_job", "ingest", "memory", "scale", "enroll", "crash", "crash_single")


def run(arguments: list[str]) -> int:
    """Measure, print the table, write the JSON. Exit code 0 when it ran, whatever it found; 2 for wrong arguments."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    wanted = list(KINDS) if given.database == "both" else [given.database]
    began = time.monotonic()
    rows: list[Row] = []
    print(f"flowserver bench on {platform.machine()}, Python {platform.python_version()}{', quick' * given.quick}")
    print("Ratios count; rates of this machine are information only.\n")
    with Databases() as databases:
        for kind in wanted:
            missing = databases.missing(kind)
            if missing:
                print(f"{missing}.\n")
                continue
            print(f"{kind}\n{HEAD}")
            for name in NAMES:
                if not given.only or name in given.only:
                    rows += _measure(databases, kind, name, given.quick)
            print()
    print(f"{sum(row.reached for row in rows)} of {len(rows)} goals reached, {time.monotonic() - began:.0f} s.")
    if given.json:
        given.json.write_text(json.dumps({"rows": [row.as_json() for row in rows]}, indent=1) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flowserver bench", description="Measure the product beside its baselines.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="smaller numbers: under two minutes, less exact")
    parser.add_argument("--only", choices=NAMES, action="append", help="only this row; may be repeated")
    parser.add_argument("--database", choices=(*KINDS, "both"), default="both")
    return parser


def _measure(databases: Databases, kind: str, name: str, quick: bool) -> list[Row]:
    """The rows of one kind of measurement on a fresh database."""
    with databases.ground(kind) as ground:
        measured: list[Row] = importlib.import_module(f"flowserver.bench.{name}").rows(ground, quick)
    found = [row.on(kind) for row in measured]
    for row in found:
        print(row.as_text(), flush=True)
    return found
