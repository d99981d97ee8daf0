"""The pages on serving and on large tables state the figures that are kept."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def kept(name):
    return json.loads((ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8"))


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_figures_of_large_tables_are_the_kept_ones():
    found, text = kept("large_tables.json"), page("large_tables.md")
    first = found["touched"]["step, seconds"]["median"]
    for update in ("touched", "dense", "rowwise"):
        seconds = found[update]["step, seconds"]
        memory = max(one["memory, GB"] for one in found[update]["by process"])
        peak = max(one["peak, GB"] for one in found[update]["by process"])
        spread = f"{seconds['median']:.2f} [{seconds['least']:.2f}, {seconds['most']:.2f}]"
        cells = f"{spread} | {seconds['median'] / first:.1f} | {memory:.1f} | {peak:.1f} |"
        assert f"| `{update}` | {cells}" in text
        assert (found[update]["rows"], found[update]["batch"]) == (20_000_000, 8192)
