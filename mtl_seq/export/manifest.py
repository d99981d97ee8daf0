"""What an exported folder says of itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mtl_seq._files import read_json, write_json
from mtl_seq.errors import ArtifactError

__all__ = ["CODEC", "FILES", "MANIFEST", "MODEL", "Format", "Input", "Manifest"]

_KIND, _VERSION = "mtl_seq.exported", 1

Format = Literal["onnx", "torch"]
"""A program for ONNX runtimes, or one for torch: `torch.export`, AOTInductor, C++."""

MANIFEST, CODEC = "manifest.json", "codec.json"
MODEL: Mapping[Format, str] = {"onnx": "model.onnx", "torch": "model.pt2"}

FILES = (MANIFEST, CODEC, *MODEL.values(), "model.onnx.data")
"""What an exported folder may hold; tables past 2 GB stand in ``model.onnx.data``."""


@dataclass(frozen=True)
class Input:
    """An input of the program.

    Attributes:
        name: The feature's name.
        dtype: ``"int64"`` or ``"float32"``.
        dims: Its dimensions; all of them are free.
    """

    name: str
    dtype: str
    dims: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """What an exported folder holds, for those who serve it without this package.

    Attributes:
        program: Which program stands there.
        file: Its name in the folder.
        inputs: What it takes: encoded features, as ``codec.json`` makes them of columns.
        outputs: What it gives, ``(rows,)`` float32 each.
        funnel: The stages, as `Funnel` writes them.
        model: The builder, where it is one of this package.
        calibration: What pCVR was calibrated by, in the program; None for nothing.
        versions: Of the libraries that wrote it.
        checkpoint_rule: How the model's checkpoint was picked; None where it is not known.
    """

    program: Format
    file: str
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    funnel: list[dict[str, Any]]
    model: dict[str, Any] | None
    calibration: dict[str, Any] | None
    versions: dict[str, str]
    checkpoint_rule: str | None = None

    def to_json(self, path: str | Path) -> None:
        """Write it to a file."""
        write_json(path, asdict(self), kind=_KIND, version=_VERSION)

    @classmethod
    def from_json(cls, path: str | Path) -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: No manifest, one of a newer version, or one that lacks a part.
        """
        content = read_json(path, kind=_KIND, version=_VERSION)
        try:
            found = cls(
                content["program"],
                content["file"],
                tuple(Input(i["name"], i["dtype"], tuple(i["dims"])) for i in content["inputs"]),
                tuple(content["outputs"]),
                content["funnel"],
                content["model"],
                content["calibration"],
                content["versions"],
                content.get("checkpoint_rule"),
            )
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{path} is incomplete: it lacks {error}; export again") from error
        if found.program not in get_args(Format) or found.file != MODEL[found.program]:
            raise ArtifactError(
                f"{path} must name one of the programs {dict(MODEL)}, found {found.program!r} in "
                f"{found.file!r}"
            )
        return found
