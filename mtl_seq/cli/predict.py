"""`mtl-seq predict`."""

from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.options import Json, Quiet, Seed
from mtl_seq.data import write_frame
from mtl_seq.errors import ArtifactError
from mtl_seq.fit import FunnelEstimator

__all__ = ["predict"]


def predict(
    model: Annotated[Path, typer.Argument(help="Folder that `fit` wrote.")],
    log: Annotated[Path, typer.Argument(help="Parquet file, or folder of them; labels may lack.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    seed: Seed = 0,  # noqa: ARG001  # every command takes it; nothing is drawn here
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Score impressions: columns pctr, pcvr, pctcvr, one row per row of the log.

    Example: [bold]mtl-seq predict model/ world/log.parquet --out scores.parquet[/bold]
    """
    if out.is_dir():
        raise ArtifactError(f"`--out` must be a file, found the folder {out}")
    if out.exists() and log.exists() and out.samefile(log):
        raise ArtifactError(f"`--out` is the log itself, which would be lost: {out}")
    scores = FunnelEstimator.load(model).predict(log)
    write_frame(scores, out)
    means = {name: float(scores[name].mean()) for name in scores.columns}
    if json:
        print_json({"out": str(out), "rows": len(scores), "mean": means})
        return
    said = ", ".join(f"mean {name} {value:.4f}" for name, value in means.items())
    note(f"{len(scores):,} rows in {out}: {said}", quiet=quiet)
