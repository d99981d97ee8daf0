"""`mtl-seq export`."""

from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.options import Json, Quiet
from mtl_seq.errors import ArtifactError
from mtl_seq.export import Format, export_model
from mtl_seq.fit import FunnelEstimator

__all__ = ["export"]


def export(
    model: Annotated[Path, typer.Argument(help="Folder of a fitted model.")],
    out: Annotated[Path, typer.Option(help="Folder to write the exported model to.")],
    format_: Annotated[
        Format, typer.Option("--format", help="Program to write, for ONNX runtimes or for torch.")
    ] = "onnx",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Export a model for serving: its program, codec.json and manifest.json.

    Example: [bold]mtl-seq export model/ --format onnx --out exported/[/bold]
    """
    if out.exists() and model.exists() and out.samefile(model):
        raise ArtifactError(f"`--out` must not be the model's folder, which would be lost: {out}")
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
    files = ", ".join(sorted(file.name for file in out.iterdir()))
    note(f"written: {out}, with {files}", quiet=quiet)
