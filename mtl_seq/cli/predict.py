"""`mtl-seq predict`."""

from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.options import Json, Quiet, Seed
from mtl_seq.errors import ArtifactError
from mtl_seq.export import load_model, predict_parquet
from mtl_seq.fit import FunnelEstimator

__all__ = ["predict"]


def predict(
    model: Annotated[Path, typer.Argument(help="Folder that `fit` or `export` wrote.")],
    log: Annotated[
        str, typer.Argument(help="Parquet file, folder of them, or glob; labels may lack.")
    ],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    rows: Annotated[int, typer.Option(help="Rows in memory at a time.", min=1)] = 65_536,
    seed: Seed = 0,  # noqa: ARG001  # every command takes it; nothing is drawn here
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Score impressions: columns pctr, pcvr, pctcvr, one row per row of the log.

    A log of any length is read and written some rows at a time.

    Example: [bold]mtl-seq predict model/ simulated/log.parquet --out scores.parquet[/bold]
    """
    if out.is_dir():
        raise ArtifactError(f"`--out` must be a file, found the folder {out}")
    fitted = load_model(model)
    found = predict_parquet(fitted, log, out, rows=rows)
    dependence = fitted.dependence_ if isinstance(fitted, FunnelEstimator) else None
    scored = int(found.pop("rows"))
    if json:
        mark = {} if dependence is None else {"dependence": dependence.mark()}
        print_json({"out": str(out), "rows": scored, "mean": found, **mark})
        return
    said = ", ".join(f"mean {name} {value:.4f}" for name, value in found.items())
    note(f"{scored:,} rows in {out}: {said}", quiet=quiet)
    if dependence is not None:
        note(f"dependence of click and conversion: {dependence}", quiet=quiet)
