"""The figures of docs/large_logs.md, from the kept results.

    python benchmarks/performance/streaming_page.py

Reads benchmarks/results/streaming.json and epoch.json and writes what is between the two marks of
the page.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "large_logs.md"
MARKS = ("<!-- figures -->\n", "<!-- /figures -->\n")


def spread(figures: list[float], form: str) -> str:
    """Median, and the lowest and highest."""
    middle, low, high = (format(figure, form) for figure in figures)
    return f"{middle} ({low} to {high})"


def table(streaming: dict[str, Any], epoch: dict[str, Any] | None) -> str:
    """The section's text."""
    stream, codec = streaming["stream"], streaming["codec"]
    rows = [
        "",
        f"{stream['rows']:,} rows of 28 columns (23 ids, of which six have 200,000 values) into "
        "batches of 8,192, median of "
        f"{stream['rounds']} rounds with the lowest and highest, each in a process of its own on "
        f"{stream['machine']}:",
        "",
        "| reader | rows a second | most memory, MB |",
        "|---|---|---|",
    ]
    names = {
        "stream": "`StreamLoader`: shuffled, encoded, checked; one prefetch thread",
        "polars": "polars: in order, as it stands there; one thread",
        "per_row": f"`torch` DataLoader by row, one worker, on {stream['per_row_part']:,} rows in "
        "memory",
    }
    for way, name in names.items():
        found = stream[way]
        rows.append(
            f"| {name} | {spread(found['rows_per_s'], ',.0f')} | "
            f"{spread(found['peak_mb'], ',.0f')} |"
        )
    whole = stream["rows"] / stream["per_row"]["rows_per_s"][0]
    rows += [
        "",
        f"That is {spread(stream['ratio_to']['per_row'], '.1f')} times the rows of the DataLoader "
        f"(which would take {whole:,.0f} s for all of them, extrapolated from its part) and "
        f"{spread(stream['ratio_to']['polars'], '.2f')} times those of polars. "
        f"`{stream['command']}`",
        "",
        f"`fit_source` on {codec['rows']:,} rows of one id with a million values, over pyarrow's "
        "own sorted value count and index of the same column: "
        f"{spread(codec['as_they_come']['ratio'], '.2f')} times its time where ids run from 0, "
        f"{spread(codec['scattered']['ratio'], '.2f')} where they are scattered over int64. "
        f"`{codec['command']}`",
        "",
    ]
    if epoch is not None:
        rows += [
            f"One epoch of ESMM over {epoch['rows']:,} rows of an `aliccp` scenario in batches of "
            f"{epoch['batch_size']:,}: {epoch['seconds of the epoch']:,.0f} s, after "
            f"{epoch['seconds before the epoch']:,.0f} s to hold rows out and fit the codec; "
            f"{epoch['processor seconds of the fit']:,.0f} s of processor time in all; "
            f"{epoch['training rows per second']:,} training rows a second, at most "
            f"{epoch['peak_mb']:,} MB; the model waited for rows for "
            f"{epoch['share of the epoch that waits for data']:.2%} of the epoch. One run. "
            f"`{epoch['command']}`",
            "",
        ]
    return "\n".join(rows) + "\n"


def kept() -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The results; None for one that was not measured yet."""
    streaming, epoch = (RESULTS / name for name in ("streaming.json", "epoch.json"))
    return (
        json.loads(streaming.read_text(encoding="utf-8")),
        json.loads(epoch.read_text(encoding="utf-8")) if epoch.exists() else None,
    )


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    between = re.compile("(?s)" + MARKS[0] + ".*" + MARKS[1])
    filled = between.sub(lambda _: MARKS[0] + table(*kept()) + MARKS[1], text)
    PAGE.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main()
