"""Predict from an exported folder, by onnxruntime."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import Codec, read_frame
from mtl_seq.errors import ArtifactError
from mtl_seq.export.manifest import CODEC, MANIFEST, Manifest

__all__ = ["Exported", "missing_extra", "to_frame"]

_ROWS = 65_536


class Exported:
    """An ONNX program with its codec; `load` makes it.

    Args:
        manifest: What the folder holds.
        codec: Columns to features.
        session: onnxruntime's ``InferenceSession``.
    """

    def __init__(self, manifest: Manifest, codec: Codec, session: Any) -> None:
        self.manifest = manifest
        self.codec = codec
        self.session = session

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 0) -> "Exported":
        """Read what `export_model` wrote. No code in the folder is run.

        Args:
            path: The folder.
            threads: Of onnxruntime; 0 for one a core.

        Raises:
            ArtifactError: A folder that is incomplete, torn, or from a newer version; a torch
                program, which cannot be read without running what the file says; or no onnxruntime.
        """
        folder = Path(path)
        manifest = Manifest.from_json(folder / MANIFEST)
        if manifest.program != "onnx":
            raise ArtifactError(
                f"{folder} holds a torch program: `torch.export.load` may run code from its file, "
                "so it is left to those who trust it; predict from the folder that `fit` wrote, "
                "or export with the format onnx"
            )
        codec = Codec.from_json(folder / CODEC)
        with missing_extra():
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        file = folder / manifest.file
        if not file.is_file():
            raise ArtifactError(f"{folder} lacks {manifest.file}: export the model again")
        try:
            session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base but this
            raise ArtifactError(f"{file} is no ONNX program that can be read: {error}") from error
        expected = ([one.name for one in manifest.inputs], list(manifest.outputs))
        found = ([x.name for x in session.get_inputs()], [x.name for x in session.get_outputs()])
        if found != expected:
            raise ArtifactError(
                f"{file} must take and give {expected}, as {MANIFEST} says, found {found}: export "
                "the model again"
            )
        return cls(manifest, codec, session)

    def predict(self, frame: pd.DataFrame | str | Path) -> pd.DataFrame:
        """Score rows as `FunnelEstimator.predict` does.

        Args:
            frame: The rows, or a parquet file of them; they are not changed.

        Returns:
            Columns ``pctr``, ``pcvr`` and ``pctcvr``, or ``score``, on the input's index.

        Raises:
            SchemaError: A feature is absent.
            DataError: No rows, or values that cannot be used.
        """
        log = read_frame(frame)
        rows = self.codec.encode(log, labels=False).features
        features = {one.name: rows[one.name].numpy() for one in self.manifest.inputs}
        parts = [
            self.session.run(None, {n: x[start : start + _ROWS] for n, x in features.items()})
            for start in range(0, len(log), _ROWS)
        ]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        found = to_frame(dict(zip(self.manifest.outputs, columns, strict=True)), log.index)
        if self.manifest.checkpoint_rule is not None:
            found.attrs["checkpoint_rule"] = self.manifest.checkpoint_rule
        return found


def to_frame(columns: Mapping[str, NDArray[Any]], index: pd.Index) -> pd.DataFrame:
    """Columns as float64, which is what `FunnelEstimator.predict` gives."""
    return pd.DataFrame({n: x.astype(np.float64) for n, x in columns.items()}, index=index)


@contextmanager
def missing_extra() -> Iterator[None]:
    """Say which extra a library comes with.

    Raises:
        ArtifactError: An import within the block failed.
    """
    try:
        yield
    except ImportError as error:
        raise ArtifactError(
            f"ONNX needs {error.name}, which is not installed: pip install 'mtl_seq[export]'"
        ) from error
