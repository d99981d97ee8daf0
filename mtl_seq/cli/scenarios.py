"""`mtl-seq scenarios`."""

from typing import Annotated, Any

import numpy as np
import typer

from mtl_seq.cli.console import console, note, plain_table, print_json
from mtl_seq.cli.options import Json, Quiet, Seed
from mtl_seq.simulate import scenario as named
from mtl_seq.simulate import scenarios as known

__all__ = ["scenarios"]

_RATES = ("ctr", "cvr_on_clicks", "cvr_on_all")


def scenarios(
    rows: Annotated[
        int, typer.Option(help="Impressions to simulate for the rates; 0 for no rates.", min=0)
    ] = 100_000,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """List the named scenarios with their rates.

    The rates are expectations under the truth, over simulated impressions: CTR, CVR on clicks, and
    the CVR of all impressions, clicked or not.

    Example: [bold]mtl-seq scenarios --rows 0[/bold]
    """
    if rows:
        note(f"simulating {rows:,} impressions of each scenario", quiet=quiet or json)
    listed = [
        {"name": name, "what": what, **(_rates(name, rows, seed) if rows else {})}
        for name, what in known().items()
    ]
    if json:
        print_json({"rows": rows, "seed": seed, "scenarios": listed})
    elif not quiet:
        _print(listed, rates=rows > 0)


def _rates(name: str, rows: int, seed: int) -> dict[str, float]:
    _, truth = named(name, seed=seed).sample(rows, np.random.default_rng([seed, 1]))
    clicks = float(truth.pctr.mean())
    rates = (clicks, float(truth.pctcvr.mean()) / clicks, float(truth.pcvr.mean()))
    return dict(zip(_RATES, rates, strict=True))


def _print(listed: list[dict[str, Any]], *, rates: bool) -> None:
    heads = ("CTR\nall", "CVR\nclicks", "CVR\nall") if rates else ()
    table = plain_table("scenario", numbers=heads)
    table.add_column("description")
    for row in listed:
        cells = [f"{row[name]:.2%}" for name in _RATES] if rates else []
        table.add_row(row["name"], *cells, row["what"])
    console(120).print(table)
