"""Manifest of an exported folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from mtl_seq._files import read_json, write_json
from mtl_seq.errors import ArtifactError

__all__ = ["CODEC", "FILES", "MANIFEST", "MODEL", "Format", "Input", "Manifest"]

_KIND, _VERSION = "mtl_seq.exported", 1

Format = Literal["onnx", "torch"]
"""A program for ONNX runtimes, or one for torch (`torch.export`, AOTInductor, C++)."""

MANIFEST, CODEC = "manifest.json", "codec.json"
MODEL: Mapping[Format, str] = {"onnx": "model.onnx", "torch": "model.pt2"}

FILES = (MANIFEST, CODEC, *MODEL.values(), "model.onnx.data")
"""The files of an exported folder; tables above 2 GB are in ``model.onnx.data``."""


@dataclass(frozen=True)
class Input:
    """An input of the program.

    Attributes:
        name: The feature's name.
        dtype: ``"int64"`` or ``"float32"``.
        dims: The names of its dimensions; all of them are free.
    """

    name: str
    dtype: str
    dims: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """Contents of an exported folder, for serving without this package.

    Attributes:
        program: The kind of program.
        file: The program's file in the folder.
        inputs: The program's inputs: features, encoded from columns as ``codec.json`` describes.
        outputs: The names of its outputs, ``(rows,)`` float32 each.
        funnel: The stages, as `Funnel` writes them.
        model: The builder, if it is one of this package.
        calibration: The calibration of pCVR, which the program includes; None for none.
        versions: Versions of the libraries that wrote the folder.
        checkpoint_rule: How the model's checkpoint was picked; None if it is not known.
    """

    program: Format
    file: str
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    funnel: list[dict[str, Any]]
    model: dict[str, Any] | None
    calibration: dict[str, Any] | None
    versions: dict[str, str]
    checkpoint_rule: str | None

    def to_json(self, path: str | Path) -> None:
        """Write the manifest to a file."""
        write_json(path, asdict(self), kind=_KIND, version=_VERSION)

    @classmethod
    def from_json(cls, path: str | Path) -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: No manifest, one of a newer version, or one that is incomplete.
        """
        content = read_json(path, kind=_KIND, version=_VERSION)
        try:
            found = {one.name: content[one.name] for one in fields(cls)}
            inputs = (Input(i["name"], i["dtype"], tuple(i["dims"])) for i in found["inputs"])
            found |= {"inputs": tuple(inputs), "outputs": tuple(found["outputs"])}
            manifest = cls(**found)
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{path} is incomplete: it lacks {error}; export again") from error
        if manifest.program not in MODEL or manifest.file != MODEL[manifest.program]:
            raise ArtifactError(
                f"{path} must name one of the programs {dict(MODEL)}, found {manifest.program!r} "
                f"in {manifest.file!r}"
            )
        return manifest
