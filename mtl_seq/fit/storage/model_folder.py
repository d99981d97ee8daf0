"""Folder of a fitted estimator: weights, codec and settings, read without running code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn import Module
from torch.optim import Optimizer

from mtl_seq._files import atomic_folder, read_json, write_json
from mtl_seq.calibration.calibrate import Calibration
from mtl_seq.data import Codec, Encoding
from mtl_seq.dependence.correction import Correction
from mtl_seq.errors import ArtifactError, CompositionError
from mtl_seq.fit.balance import Balance
from mtl_seq.fit.config import FitConfig
from mtl_seq.fit.storage.builder_json import builder_from_dict, builder_to_dict
from mtl_seq.fit.train.result import TrainingResult
from mtl_seq.models import Builder, CalibrationConfig, FunnelModel
from mtl_seq.schema import Schema

__all__ = [
    "FILES",
    "UNFINISHED_FIT",
    "SavedModel",
    "config_from_json",
    "config_to_json",
    "load_folder",
    "load_weights",
    "save_folder",
]

_KIND, _VERSION = "mtl_seq.estimator", 1

FILES = ("model.safetensors", "codec.json", "estimator.json", "dependence.safetensors")
"""Files that `FunnelEstimator.save` writes."""

UNFINISHED_FIT = "checkpoint"
"""Folder of a fit's checkpoints within its model folder; the finished model replaces it."""


class SavedModel(NamedTuple):
    """Content of a model folder, without the weights.

    Attributes:
        config: The settings of the fit, with builder and schema.
        codec: Vocabularies and scaling.
        run: The training result.
        calibration: The calibration map of pCVR; None without one.
        dependence: The fitted dependence of click and conversion; None without one.
    """

    config: FitConfig
    codec: Codec
    run: TrainingResult
    calibration: Calibration | None
    dependence: Correction | None


def save_folder(path: str | Path, saved: SavedModel, model: FunnelModel) -> None:
    """Write weights (safetensors), codec and settings (JSON), whole or not at all.

    Raises:
        ArtifactError: The folder holds something else, which would be lost.
    """
    with atomic_folder(path, own=(*FILES, UNFINISHED_FIT)) as folder:
        weights = {k: x.detach().cpu().contiguous() for k, x in model.state_dict().items()}
        save_file(weights, folder / "model.safetensors")
        saved.codec.to_json(folder / "codec.json")
        content = {
            **config_to_json(saved.config),
            "run": saved.run.to_dict(),
            "calibration": saved.calibration and saved.calibration.to_dict(),
            "dependence": saved.dependence and saved.dependence.to_dict(),
        }
        if saved.dependence is not None:
            save_file(saved.dependence.tensors(), folder / "dependence.safetensors")
        write_json(folder / "estimator.json", content, kind=_KIND, version=_VERSION)


def load_folder(path: str | Path, builder: Builder | None) -> SavedModel:
    """Read what `save_folder` wrote.

    Args:
        path: The folder.
        builder: The builder, if it is user-defined.

    Raises:
        ArtifactError: The folder is incomplete, from a newer version, or its builder is
            user-defined and `builder` is not given.
    """
    folder = Path(path)
    if not folder.exists():
        raise ArtifactError(f"no model folder {folder}: name the one that `save` wrote")
    if folder.is_file():
        raise ArtifactError(
            f"`path` must be the folder that `save` wrote, found the file {folder}: pickles "
            "and checkpoints of other tools are not read"
        )
    content = read_json(folder / "estimator.json", kind=_KIND, version=_VERSION)
    codec = Codec.from_json(folder / "codec.json")
    try:
        if builder is None and content["model"] is None:
            raise ArtifactError(
                f"{folder} holds a model of a builder outside this package: pass it, "
                "`load(path, model=builder)`"
            )
        calibration = content["calibration"]
        return SavedModel(
            config_from_json(content, codec.schema, builder),
            codec,
            TrainingResult.from_dict(content["run"]),
            calibration and Calibration.from_dict(calibration),
            _dependence(content["dependence"], folder / "dependence.safetensors"),
        )
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{folder / 'estimator.json'} cannot be read: {error!r}") from error


def _dependence(content: dict[str, Any] | None, path: Path) -> Correction | None:
    if content is None:
        return None
    try:
        return Correction.from_dict(content, load_file(path))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ArtifactError(f"{path}: the dependence cannot be read: {error}") from error


def load_weights(path: str | Path, model: FunnelModel) -> None:
    """Put the weights of a folder into a model.

    Raises:
        ArtifactError: Weights that are torn or do not fit.
    """
    try:
        model.load_state_dict(load_file(Path(path) / "model.safetensors"))
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"{path}: the weights do not fit the model: {error}") from error


def config_to_json(config: FitConfig) -> dict[str, Any]:
    """Builder and settings as JSON values; None for a builder outside this package."""
    settings = {
        **config.settings,
        "allow_leak": list(config.allow_leak),
        "encoding": config.encoding.to_dict(),
        "balance": _part_to_json(config.balance),
        "calibrate": config.calibrate and asdict(config.calibrate),
        "optimizer": _part_to_json(config.optimizer),
    }
    return {"model": builder_to_dict(config.model), "settings": settings}


def config_from_json(
    content: Mapping[str, Any], schema: Schema, builder: Builder | None = None
) -> FitConfig:
    """Read what `config_to_json` returned; a user-defined builder must be given."""
    return FitConfig(
        model=builder or builder_from_dict(content["model"]),
        schema=schema,
        **_settings_from_json(content["settings"]),
    )


def _settings_from_json(content: Mapping[str, Any]) -> dict[str, Any]:
    calibrate = content["calibrate"]
    return {
        **content,
        "encoding": Encoding(**content["encoding"]),
        "balance": _part_from_json(content["balance"], _unknown_balance),
        "calibrate": calibrate and CalibrationConfig(**calibrate),
        "optimizer": _part_from_json(content["optimizer"], _unknown_optimizer),
    }


def _part_to_json(part: Callable[..., Any] | None) -> dict[str, Any] | None:
    """A balance or an optimiser; without a name where it is user-defined."""
    return None if part is None else builder_to_dict(part) or {"name": None}


def _part_from_json(
    content: dict[str, Any] | None, unknown: Callable[..., Any]
) -> Callable[..., Any] | None:
    if content is None:
        return None
    return unknown if content["name"] is None else builder_from_dict(content)


def _unknown_optimizer(network: Module, *, lr: float, weight_decay: float) -> Optimizer:
    raise CompositionError(
        f"the `optimizer` of {type(network).__name__} (lr {lr}, weight decay {weight_decay}) was "
        "user-defined, and no file holds code: set `estimator.optimizer` before fitting again"
    )


def _unknown_balance(losses: Sequence[str]) -> Balance:
    raise CompositionError(
        f"the `balance` of {tuple(losses)} was user-defined, and no file holds code: set "
        "`estimator.balance` before fitting again"
    )
