"""Finished cells of a study, kept one at a time so that an interrupted run goes on.

A cell is a NamedTuple, of which a record holds every field beside what was measured.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mtl_seq._files import atomic_path
from mtl_seq.experiments.compare import versions

__all__ = ["keep", "kept"]

Record = Mapping[str, Any]


def kept(out: Path, kind: type[NamedTuple], settings: Record) -> dict[Any, Record]:
    """Cells of an earlier run; refuses those of other settings."""
    if not out.exists():
        return {}
    content = json.loads(out.read_text(encoding="utf-8"))
    if content["settings"] != dict(settings):
        raise SystemExit(
            f"{out} holds cells of {content['settings']}, not of {dict(settings)}: move it away, "
            "or name another --out"
        )
    return {kind(*(record[name] for name in kind._fields)): record for record in content["cells"]}


def keep(
    out: Path, command: str, settings: Record, cells: Mapping[Any, Record], **said: Any
) -> None:
    """Write all cells, how they were made, and whatever else is to be said, whole or not at all."""
    content = {
        "command": command,
        "versions": versions(),
        "settings": dict(settings),
        **said,
        "cells": [cells[cell] for cell in sorted(cells)],
    }
    with atomic_path(out) as aside:
        aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
