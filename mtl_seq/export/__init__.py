"""Fitted models for serving: an ONNX or torch.export program, the codec and a manifest beside it.

ONNX comes with the extra ``[export]``; nothing of it is imported before it is used.
"""

from mtl_seq.export.exported import Exported
from mtl_seq.export.manifest import FILES, Format, Manifest
from mtl_seq.export.stream import load_model, predict_parquet
from mtl_seq.export.write import export_model

__all__ = [
    "FILES",
    "Exported",
    "Format",
    "Manifest",
    "export_model",
    "load_model",
    "predict_parquet",
]


def __dir__() -> list[str]:
    return __all__
