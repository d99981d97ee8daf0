"""Export of a fitted estimator to a folder."""

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
_ONE_FILE = 2**31 - 2**24  # the largest protocol buffer, less room for the graph itself


def export_model(
    estimator: FunnelEstimator, path: str | Path, *, program: Format = "onnx"
) -> Manifest:
    """Write a fitted model for serving: the program, ``codec.json`` and ``manifest.json``.

    The program takes encoded features of any number of rows, with bags of any length. It computes
    in float32 whatever the estimator's precision, and includes the calibration. Before the folder
    is written, program and estimator are compared on random rows: they must agree within 1e-5
    (times the largest slope of an isotonic calibration). A model whose `predict` does more than its
    network and calibration is therefore refused.

    Args:
        estimator: The fitted estimator.
        path: The folder, written whole or not at all.
        program: ``"onnx"`` (the extra ``[export]``), or ``"torch"``, a ``torch.export`` file.

    Raises:
        ArtifactError: A model that cannot be exported, a missing extra, or a folder with other
            contents.
        NotFittedError: Nothing was fitted.
    """
    if not hasattr(estimator, "model_"):
        raise NotFittedError("nothing was fitted yet: call `fit` first, or `load` a folder")
    if program not in MODEL:
        raise ArtifactError(f"`program` must be one of {tuple(MODEL)}, found {program!r}")
    dependence = estimator.dependence_
    if dependence is not None and not dependence.by_network:
        raise ArtifactError(
            "pCVR of this model is corrected after the network, which a program cannot include: "
            "fit it with `DependenceConfig(refit=True)`, whose network predicts the corrected pCVR"
        )
    check_folder(path, FILES)
    codec = estimator.codec_
    network = copy.deepcopy(estimator.model_.network).cpu().eval()
    served = Served(
        network, estimator.calibration_, ranks_only=estimator.model_.objective.ranks_only
    ).eval()
    features = codec.encode(probe_rows(codec, _ROWS, seed=0), labels=False).features
    # No dimension may look fixed to an exporter: a bag of length 1 or of `_ROWS`.
    assert all(x.shape[0] == _ROWS for x in features.values())
    assert all(x.shape[1] not in (0, 1, _ROWS) for x in features.values() if x.dim() == 2)
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
            loaded = torch.export.load(folder / manifest.file).module()  # the file just written
            _compare(estimator, codec, lambda frame: _run(loaded, codec, frame), tolerance)
    return manifest


def _dims(features: Mapping[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """Names of each input's dimensions; a bag and its weights share theirs."""
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
        except Exception as error:  # a user-defined network may raise anything
            raise ArtifactError(
                f"this network cannot be exported: {error}; `mtl_seq.testing.check_exportable` "
                "shows where; else predict from the folder that `save` wrote"
            ) from error
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)  # it holds paths of this machine
    return exported


def _write_onnx(
    exported: ExportedProgram,
    file: Path,
    manifest: Manifest,
    dims: Mapping[str, tuple[str, ...]],
) -> None:
    with missing_extra(), _quiet():
        import onnxscript  # noqa: F401  # needed by torch's exporter, whose error is less clear

        onnx_program: Any = torch.onnx.export(
            exported,
            input_names=[one.name for one in manifest.inputs],
            output_names=list(manifest.outputs),
            dynamo=True,
            verbose=False,
        )
    graph = onnx_program.model.graph
    for node in graph:
        node.metadata_props.clear()
    for value in graph.inputs:
        value.shape = type(value.shape)(list(dims[value.name]))
    for value in graph.outputs:
        value.shape = type(value.shape)(["rows"])
    size = sum(x.numel() * x.element_size() for x in exported.state_dict.values())
    onnx_program.save(file, external_data=size > _ONE_FILE)


def _run(
    program: Callable[..., Mapping[str, Tensor]], codec: Codec, frame: pd.DataFrame
) -> pd.DataFrame:
    with torch.no_grad():
        columns = program(codec.encode(frame, labels=False).features)
    return to_frame({name: x.numpy() for name, x in columns.items()}, frame.index)


def _compare(
    estimator: FunnelEstimator,
    codec: Codec,
    predict: Callable[[pd.DataFrame], pd.DataFrame],
    tolerance: float,
) -> None:
    """Refuse a program whose predictions differ from the estimator's in float32."""
    exact = copy.copy(estimator)
    exact.run_ = estimator.run_._replace(arithmetic=Arithmetic.FLOAT32)
    for seed, rows in ((1, _PROBE), (2, 1)):
        frame = probe_rows(codec, rows, seed)
        expected, actual = exact.predict(frame), predict(frame)
        if list(expected.columns) != list(actual.columns):
            raise ArtifactError(
                f"the estimator predicts {list(expected.columns)}, its network alone "
                f"{list(actual.columns)}: such a model cannot be exported; predict from the folder "
                "that `save` wrote"
            )
        scale = np.maximum(1, np.abs(expected.to_numpy()))
        error = float((np.abs(expected.to_numpy() - actual.to_numpy()) / scale).max())
        if not error <= tolerance:
            raise ArtifactError(
                f"the exported program differs from the estimator by {error:.2g}: what this model "
                "computes after its network cannot be exported; predict from the folder that "
                "`save` wrote"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporters' remarks on operators that are not used here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
