"""From a fitted estimator to a folder that is served."""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from mtl_seq._files import atomic_folder, check_folder
from mtl_seq.data import Codec
from mtl_seq.errors import ArtifactError, NotFittedError
from mtl_seq.export.exported import Exported, missing_extra, to_frame
from mtl_seq.export.manifest import CODEC, FILES, MANIFEST, MODEL, Format, Input, Manifest
from mtl_seq.export.probe import probe_rows
from mtl_seq.export.served import Served
from mtl_seq.fit import FunnelEstimator
from mtl_seq.fit.storage.builder_json import builder_to_dict
from mtl_seq.fit.train.precision import Arithmetic

__all__ = ["export_model"]

_ROWS, _PROBE = 7, 200
_AGREE = 1e-5
_ONE_FILE = 2**31 - 2**24  # what a protocol buffer holds, less the graph itself


def export_model(
    estimator: FunnelEstimator, path: str | Path, *, program: Format = "onnx"
) -> Manifest:
    """Write a fitted model for serving: the program, ``codec.json`` and ``manifest.json``.

    The program takes encoded features of any number of rows, and bags of any length. It computes in
    float32, whatever the estimator computes in. A calibration is part of it. Before anything is
    kept, program and estimator are compared on drawn rows: they must agree within 1e-5 (times the
    steepest rise of an isotonic calibration), so that what a model puts behind its network and no
    program states is refused.

    Args:
        estimator: The fitted estimator.
        path: The folder; it is written whole or not at all.
        program: ``"onnx"`` (the extra ``[export]``), or ``"torch"``, a ``torch.export`` file.

    Returns:
        What the folder holds.

    Raises:
        ArtifactError: A model that cannot be exported, a missing extra, or a folder that holds
            something else.
        NotFittedError: Nothing was fitted.
    """
    if not hasattr(estimator, "model_"):
        raise NotFittedError("nothing was fitted yet: call `fit` first, or `load` a folder")
    if program not in MODEL:
        raise ArtifactError(f"`program` must be one of {tuple(MODEL)}, found {program!r}")
    found = estimator.dependence_
    if found is not None and not found.by_network:
        raise ArtifactError(
            "pCVR of this model is corrected behind the network, which no program holds: fit "
            "it with `DependenceConfig(refit=True)`, whose network predicts by itself"
        )
    check_folder(path, FILES)
    codec = estimator.codec_
    network = copy.deepcopy(estimator.model_.network).cpu().eval()
    served = Served(
        network, estimator.calibration_, ranks_only=estimator.model_.objective.ranks_only
    ).eval()
    features = _longer(codec.encode(probe_rows(codec, _ROWS, seed=0), labels=False).features)
    dims = _dims(features)
    exported = _exported(served, features, dims)
    manifest = Manifest(
        program,
        MODEL[program],
        tuple(
            Input(name, str(x.dtype).removeprefix("torch."), dims[name])
            for name, x in features.items()
        ),
        served.outputs,
        codec.schema.funnel.to_dict(),
        builder_to_dict(estimator.config_.model),
        None if estimator.calibration_ is None else estimator.calibration_.to_dict(),
        {name: version(name) for name in ("mtl_seq", "torch")},
        estimator.run_.checkpoint_rule,
    )
    tolerance = _AGREE * (1 if served.calibration is None else served.calibration.steepest)
    with atomic_folder(path, own=FILES) as folder:
        codec.to_json(folder / CODEC)
        manifest.to_json(folder / MANIFEST)
        if program == "onnx":
            _write_onnx(exported, folder / manifest.file, manifest, dims)
            _compare(estimator, codec, Exported.load(folder).predict, tolerance)
        else:
            torch.export.save(exported, folder / manifest.file)
            loaded = torch.export.load(folder / manifest.file).module()  # of our own writing
            _compare(estimator, codec, lambda frame: _run(loaded, codec, frame), tolerance)
    return manifest


def _longer(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """No bag as long as there are rows, nor of length 1: an exporter would take it for fixed."""
    assert all(x.shape[0] == _ROWS for x in features.values())
    assert all(x.shape[1] not in (0, 1, _ROWS) for x in features.values() if x.dim() == 2)
    return features


def _dims(features: Mapping[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """Names of each input's dimensions; a bag's weights have its own."""
    bags = [name for name, x in features.items() if x.dim() == 2 and x.dtype == torch.int64]
    items = {name: f"items_{index}" for index, name in enumerate(bags)}
    return {
        name: ("rows",) if x.dim() == 1 else ("rows", items[name.removesuffix(":weight")])
        for name, x in features.items()
    }


def _exported(
    served: Served, features: dict[str, Tensor], dims: Mapping[str, tuple[str, ...]]
) -> ExportedProgram:
    free = {name: Dim(name) for name in dict.fromkeys(dim for one in dims.values() for dim in one)}
    shapes = {name: {i: free[dim] for i, dim in enumerate(one)} for name, one in dims.items()}
    with torch.no_grad(), _quiet():
        try:
            exported = torch.export.export(served, (features,), dynamic_shapes=(shapes,))
        except Exception as error:  # whatever the exporter meets in a network of one's own
            raise ArtifactError(
                f"this network cannot be exported: {error}; `mtl_seq.testing.check_exportable` "
                "says where, and the folder that `save` wrote predicts without"
            ) from error
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of the machine that wrote it
    return exported


def _write_onnx(
    exported: ExportedProgram,
    file: Path,
    manifest: Manifest,
    dims: Mapping[str, tuple[str, ...]],
) -> None:
    with missing_extra(), _quiet():
        import onnxscript  # noqa: F401  # torch's exporter needs it, and says so less plainly

        made: Any = torch.onnx.export(
            exported,
            input_names=[one.name for one in manifest.inputs],
            output_names=list(manifest.outputs),
            dynamo=True,
            verbose=False,
        )
    graph = made.model.graph
    for node in graph:
        node.metadata_props.clear()
    for value in graph.inputs:
        value.shape = type(value.shape)(list(dims[value.name]))
    for value in graph.outputs:
        value.shape = type(value.shape)(["rows"])
    size = sum(x.numel() * x.element_size() for x in exported.state_dict.values())
    made.save(file, external_data=size > _ONE_FILE)


def _run(
    program: Callable[..., Mapping[str, Tensor]], codec: Codec, frame: pd.DataFrame
) -> pd.DataFrame:
    with torch.no_grad():
        found = program(codec.encode(frame, labels=False).features)
    return to_frame({name: x.numpy() for name, x in found.items()}, frame.index)


def _compare(
    estimator: FunnelEstimator,
    codec: Codec,
    predict: Callable[[pd.DataFrame], pd.DataFrame],
    tolerance: float,
) -> None:
    """Refuse a program that says something else than the estimator does in float32."""
    exact = copy.copy(estimator)
    exact.run_ = estimator.run_._replace(arithmetic=Arithmetic.FLOAT32)
    for seed, rows in ((1, _PROBE), (2, 1)):
        frame = probe_rows(codec, rows, seed)
        expected, found = exact.predict(frame), predict(frame)
        if list(expected.columns) != list(found.columns):
            raise ArtifactError(
                f"the estimator predicts {list(expected.columns)}, its network alone "
                f"{list(found.columns)}: such a model cannot be exported; predict from the folder "
                "that `save` wrote"
            )
        scale = np.maximum(1, np.abs(expected.to_numpy()))
        apart = float((np.abs(expected.to_numpy() - found.to_numpy()) / scale).max())
        if not apart <= tolerance:
            raise ArtifactError(
                f"the exported program differs from the estimator by {apart:.2g}: what this model "
                "puts behind its network cannot be exported; predict from the folder that `save` "
                "wrote"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters' remarks on operators that nobody here uses."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
