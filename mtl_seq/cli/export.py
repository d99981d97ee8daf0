"""`mtl-seq export`."""

from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.options import Json, Quiet
from mtl_seq.errors import ArtifactError
from mtl_seq.export import FILES, Format, export_model
from mtl_seq.fit import FunnelEstimator

__all__ = ["export"]


def export(
    model: Annotated[Path, typer.Argument(help="Folder that `fit` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    format_: Annotated[
        Format, typer.Option("--format", help="A program for ONNX runtimes, or one for torch.")
    ] = "onnx",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write a model for serving: the program, codec.json and manifest.json.

    Example: [bold]mtl-seq export model/ --format onnx --out exported/[/bold]
    """
    if out.exists() and model.exists() and out.samefile(model):
        raise ArtifactError(f"`--out` is the model itself, which would be lost: {out}")
    manifest = export_model(FunnelEstimator.load(model), out, program=format_)
    if json:
        print_json(
            {
                "out": str(out),
                "program": manifest.file,
                "inputs": [one.name for one in manifest.inputs],
                "outputs": list(manifest.outputs),
            }
        )
        return
    kept = [name for name in FILES if (out / name).exists()]
    note(f"written: {out}, with {', '.join(kept)}", quiet=quiet)
