"""Predictions of an exported model by onnxruntime."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import Codec
from mtl_seq.data.parquet.predict_log import LogPredictor
from mtl_seq.errors import ArtifactError
from mtl_seq.export.manifest import CODEC, MANIFEST, Manifest
from mtl_seq.fit import FunnelEstimator

__all__ = ["Exported", "load_model", "missing_extra", "to_frame"]

_ROWS = 65_536


class Exported(LogPredictor):
    """An exported ONNX program with its codec; `load` reads one from a folder.

    Args:
        manifest: The folder's manifest.
        codec: Encodes columns as features.
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
            threads: Threads of onnxruntime; 0 for one per core.

        Raises:
            ArtifactError: A folder that is incomplete, torn, or from a newer version; a torch
                program, which cannot be read without running code from its file; or onnxruntime is
                not installed.
        """
        folder = Path(path)
        manifest = Manifest.from_json(folder / MANIFEST)
        if manifest.program != "onnx":
            raise ArtifactError(
                f"{folder} holds a torch program: `torch.export.load` may run code from its file, "
                "so load it yourself if you trust it; else predict from the folder that `fit` "
                "wrote, or export with the format onnx"
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
        except Exception as error:  # its exceptions have no other common base
            raise ArtifactError(f"{file} cannot be read as an ONNX program: {error}") from error
        expected = ([one.name for one in manifest.inputs], list(manifest.outputs))
        actual = ([x.name for x in session.get_inputs()], [x.name for x in session.get_outputs()])
        if actual != expected:
            raise ArtifactError(
                f"{file} must have the inputs and outputs {expected} of {MANIFEST}, found "
                f"{actual}: export the model again"
            )
        return cls(manifest, codec, session)

    def _columns(self) -> tuple[str, ...]:
        return self.codec.columns(labels=False)

    def _predict_frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        rows = self.codec.encode(frame, labels=False).features
        features = {one.name: rows[one.name].numpy() for one in self.manifest.inputs}
        parts = [
            self.session.run(None, {n: x[start : start + _ROWS] for n, x in features.items()})
            for start in range(0, len(frame), _ROWS)
        ]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        scores = to_frame(dict(zip(self.manifest.outputs, columns, strict=True)), frame.index)
        if self.manifest.checkpoint_rule is not None:
            scores.attrs["checkpoint_rule"] = self.manifest.checkpoint_rule
        return scores


def load_model(path: str | Path) -> FunnelEstimator | Exported:
    """Load a folder that `fit` or `export` wrote.

    Raises:
        ArtifactError: A folder of another kind, that is torn, or from a newer version.
    """
    if (Path(path) / MANIFEST).is_file():
        return Exported.load(path)
    return FunnelEstimator.load(path)


def to_frame(columns: Mapping[str, NDArray[Any]], index: pd.Index) -> pd.DataFrame:
    """Columns as float64, the type that `FunnelEstimator.predict` returns."""
    return pd.DataFrame({n: x.astype(np.float64) for n, x in columns.items()}, index=index)


@contextmanager
def missing_extra() -> Iterator[None]:
    """Name the extra that is missing where an import within the block fails."""
    try:
        yield
    except ImportError as error:
        raise ArtifactError(
            f"ONNX needs {error.name}, which is not installed: pip install 'mtl_seq[export]'"
        ) from error
