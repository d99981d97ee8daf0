"""A fitted estimator as a folder, and back, without running code from it."""

from collections.abc import Mapping, Sequence
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
from mtl_seq.fit.storage.builder_json import builder_from_dict, builder_to_dict
from mtl_seq.fit.train.result import TrainingResult
from mtl_seq.models import Builder, CalibrationConfig, FunnelModel

__all__ = [
    "FILES",
    "SETTINGS",
    "UNFINISHED_FIT",
    "Saved",
    "load_folder",
    "load_weights",
    "save_folder",
    "settings_to_json",
]

_KIND, _VERSION = "mtl_seq.estimator", 2

SETTINGS = (
    "epochs",
    "batch_size",
    "lr",
    "weight_decay",
    "id_dropout",
    "validation",
    "patience",
    "balance",
    "calibrate",
    "encoding",
    "optimizer",
    "precision",
    "allow_leak",
    "seed",
)
"""Arguments of `FunnelEstimator` that a folder keeps."""

FILES = ("model.safetensors", "codec.json", "estimator.json", "dependence.safetensors")
"""What `FunnelEstimator.save` writes into its folder."""

UNFINISHED_FIT = "checkpoint"
"""Folder, within a model's, of the checkpoints that lead to it; the model takes its place."""


class Saved(NamedTuple):
    """What a folder holds, but for the weights.

    Attributes:
        builder: Builds the model.
        codec: Vocabularies and scaling.
        settings: Arguments of the estimator.
        run: What came of the training run.
        calibration: How pCVR is calibrated; None if not.
        dependence: What was found of a dependence; None where there is none.
    """

    builder: Builder
    codec: Codec
    settings: dict[str, Any]
    run: TrainingResult
    calibration: Calibration | None
    dependence: Correction | None = None


def save_folder(path: str | Path, saved: Saved, model: FunnelModel) -> None:
    """Write weights (safetensors), codec and settings (JSON), whole or not at all.

    Raises:
        ArtifactError: The folder holds something else, which would be lost.
    """
    with atomic_folder(path, own=(*FILES, UNFINISHED_FIT)) as folder:
        weights = {k: x.detach().cpu().contiguous() for k, x in model.state_dict().items()}
        save_file(weights, folder / "model.safetensors")
        saved.codec.to_json(folder / "codec.json")
        content = {
            "model": builder_to_dict(saved.builder),
            "settings": settings_to_json(saved.settings),
            "run": saved.run.to_dict(),
            "calibration": saved.calibration and saved.calibration.to_dict(),
            "dependence": saved.dependence and saved.dependence.to_dict(),
        }
        if saved.dependence is not None:
            save_file(saved.dependence.tensors(), folder / "dependence.safetensors")
        write_json(folder / "estimator.json", content, kind=_KIND, version=_VERSION)


def load_folder(path: str | Path, builder: Builder | None) -> Saved:
    """Read what `save_folder` wrote.

    Args:
        path: The folder.
        builder: The builder, where it was one's own.

    Raises:
        ArtifactError: The folder is incomplete, from a newer version, or holds a model that was
            built by a function of somebody's own and `builder` is not given.
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
    if builder is None:
        if content["model"] is None:
            raise ArtifactError(
                f"{folder} holds a model of a builder outside this package: hand it in, "
                "`load(path, model=builder)`"
            )
        builder = builder_from_dict(content["model"])
    codec = Codec.from_json(folder / "codec.json")
    found = content.get("calibration")
    return Saved(
        builder,
        codec,
        _from_json(content["settings"]),
        TrainingResult.from_dict(content["run"]),
        None if found is None else Calibration.from_dict(found),
        _dependence(content.get("dependence"), folder / "dependence.safetensors"),
    )


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


def settings_to_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an estimator as JSON values."""
    balance, calibrate = settings["balance"], settings["calibrate"]
    optimizer = settings["optimizer"]
    return {
        **settings,
        "allow_leak": list(settings["allow_leak"]),
        "encoding": settings["encoding"].to_dict(),
        "balance": None if balance is None else builder_to_dict(balance) or {"name": None},
        "calibrate": None if calibrate is None else vars(calibrate),
        "optimizer": None if optimizer is None else builder_to_dict(optimizer) or {"name": None},
    }


def _from_json(content: Mapping[str, Any]) -> dict[str, Any]:
    if "encoding" not in content:
        content = _with_encoding(content)
    balance, calibrate = content.get("balance"), content.get("calibrate")
    optimizer = content.get("optimizer")
    if optimizer is not None:
        own = optimizer["name"] is None
        optimizer = _lost_optimizer if own else builder_from_dict(optimizer)
    if balance is not None:
        balance = _lost_balance if balance["name"] is None else builder_from_dict(balance)
    return {
        **content,
        "encoding": Encoding(**content["encoding"]),
        "balance": balance,
        "calibrate": None if calibrate is None else CalibrationConfig(**calibrate),
        "optimizer": optimizer,
    }


def _with_encoding(content: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the first folders, which knew no `Encoding`: two of its fields stood alone."""
    newer = dict(content)
    alone = {name: newer.pop(name) for name in ("min_count", "impute")}
    return {**newer, "encoding": Encoding(target_encoding=None, **alone).to_dict()}


def _lost_optimizer(network: Module, *, lr: float, weight_decay: float) -> Optimizer:
    raise CompositionError(
        f"the `optimizer` of {type(network).__name__} (lr {lr}, weight decay {weight_decay}) was "
        "one's own, and no file holds code: set `estimator.optimizer` before fitting again"
    )


def _lost_balance(losses: Sequence[str]) -> Balance:
    raise CompositionError(
        f"the `balance` of {tuple(losses)} was one's own, and no file holds code: set "
        "`estimator.balance` before fitting again"
    )
