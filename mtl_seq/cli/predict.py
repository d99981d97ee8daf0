"""`mtl-seq predict`."""

from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.options import Json, Quiet, Seed
from mtl_seq.errors import ArtifactError
from mtl_seq.export import load_model
from mtl_seq.fit import FunnelEstimator

__all__ = ["predict"]


def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a fitted or exported model.")],
    log: Annotated[
        str, typer.Argument(help="Parquet file, folder, glob or URL; labels are optional.")
    ],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    rows: Annotated[int, typer.Option(help="Rows in memory at a time.", min=1)] = 65_536,
    seed: Seed = 0,  # noqa: ARG001  # every command takes it; nothing is random here
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Predict pctr, pcvr and pctcvr of every impression of a log.

    The log is streamed, so that it may be larger than memory.

    Example: [bold]mtl-seq predict model/ simulated/log.parquet --out scores.parquet[/bold]
    """
    if out.is_dir():
        raise ArtifactError(f"`--out` must be a file, found the folder {out}")
    fitted = load_model(model)
    means = fitted.predict(log, out, rows=rows)
    dependence = fitted.dependence_ if isinstance(fitted, FunnelEstimator) else None
    predicted = int(means.pop("rows"))
    if json:
        mark = {} if dependence is None else {"dependence": dependence.mark()}
        print_json({"out": str(out), "rows": predicted, "mean": means, **mark})
        return
    text = ", ".join(f"mean {name} {value:.4f}" for name, value in means.items())
    note(f"{predicted:,} rows in {out}: {text}", quiet=quiet)
    if dependence is not None:
        note(f"dependence of click and conversion: {dependence}", quiet=quiet)
