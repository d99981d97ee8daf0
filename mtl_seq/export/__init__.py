"""Export of fitted models for serving: an ONNX or torch.export program, its codec and manifest.

ONNX comes with the extra ``[export]`` and is imported when it is used.
"""

from mtl_seq.export.exported import Exported, load_model
from mtl_seq.export.manifest import Format, Input, Manifest
from mtl_seq.export.write import export_model

__all__ = ["Exported", "Format", "Input", "Manifest", "export_model", "load_model"]


def __dir__() -> list[str]:
    return __all__
