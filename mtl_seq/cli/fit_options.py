"""Fits of the command line: names of balances and calibrations, and the folder to resume from."""

import os
import re
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mtl_seq._files import check_folder, read_json, recover_folder, write_json
from mtl_seq.data import read_frame, truth_of
from mtl_seq.errors import ArtifactError, CompositionError, DataError
from mtl_seq.fit import (
    DWA,
    BalanceFactory,
    Checkpoints,
    FitConfig,
    FunnelEstimator,
    GradNorm,
    JacobianDescent,
    Uncertainty,
)
from mtl_seq.fit.storage.model_folder import (
    FILES,
    UNFINISHED_FIT,
    config_from_json,
    config_to_json,
)
from mtl_seq.fit.train.distributed import is_rank_zero
from mtl_seq.models import CalibrationConfig
from mtl_seq.schema import Schema

__all__ = [
    *("BALANCES", "FitJob", "Logger", "Method"),
    *("balance_named", "calibration", "checkpoint_rule", "local"),
]

_KIND, _VERSION = "mtl_seq.fit", 1
_FILE = "fit.json"
_SECONDS = 600.0

Logger = Literal["csv", "tensorboard"]
Method = Literal["shift", "platt", "isotonic"]
"""Methods of calibration."""

BALANCES: dict[str, BalanceFactory] = {
    "uncertainty": Uncertainty,
    # By steps, since most fits have one epoch, in which DWA by epochs has no effect.
    "dwa": partial(DWA, steps=100),
    "gradnorm": GradNorm,
}
# Arguments of aggregators that have no default, as in their papers.
_AGGREGATORS = {"CAGrad": {"c": 0.4}}


def calibration(method: Method | None, weighted: bool | None) -> CalibrationConfig | None:
    """The calibration of `--calibrate` and `--calibrate-weighted`; None for none."""
    if method is None:
        if weighted is not None:
            raise CompositionError(
                "`--calibrate-weighted` and `--calibrate-plain` need `--calibrate`, which was not "
                "given: add `--calibrate shift`"
            )
        return None
    return CalibrationConfig(method, weighted)


def balance_named(name: str | None) -> BalanceFactory | None:
    """A balance of the losses by its name; None for none."""
    if name is None or name in BALANCES:
        return None if name is None else BALANCES[name]
    factory = partial(JacobianDescent, aggregator=name, settings=_AGGREGATORS.get(name, {}))
    try:
        factory(("one", "other"))  # fails before the log is read
    except CompositionError as error:
        raise CompositionError(
            f"`--balance` must be one of {', '.join(BALANCES)} or an aggregator: {error}"
        ) from error
    return factory


@dataclass(frozen=True)
class FitJob:
    """A fit of the command line, which its folder stores until it is finished.

    Attributes:
        estimator: The estimator, with its settings.
        log: The log's path or URL.
        out: The model's folder.
        truth: The truth's path, for the oracle.
        warm_start: Folder of the fitted model to continue from.
        logger: Logger of the training metrics.
        checkpoint_every: Interval of the checkpoints; see `checkpoint_rule`.
    """

    estimator: FunnelEstimator
    log: str
    out: str
    truth: str | None
    warm_start: str | None
    logger: Logger | None
    checkpoint_every: str | None

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints within the model's folder."""
        steps, seconds = checkpoint_rule(self.checkpoint_every)
        return Checkpoints(Path(self.out) / UNFINISHED_FIT, steps, seconds)

    def begin(self) -> None:
        """Check the settings and write them beside the checkpoints, for `resume`."""
        folder = Path(self.checkpoints.folder)
        config = FitConfig.from_parameters(self.estimator.get_params(deep=False))
        if config.lr <= 0:
            raise DataError(f"`--lr` must be above 0, found {config.lr}")
        check_folder(self.out, (*FILES, UNFINISHED_FIT))
        if not is_rank_zero():
            return
        if folder.exists():
            raise ArtifactError(
                f"{self.out} holds an unfinished fit: resume it, `mtl-seq fit --resume "
                f"{self.out}`, or delete {folder}"
            )
        content = {name: value for name, value in vars(self).items() if name != "estimator"}
        content |= {
            **config_to_json(config),
            "schema": config.schema.to_dict(),
            "trainer": dict(config.trainer),
        }
        write_json(folder / _FILE, content, kind=_KIND, version=_VERSION)

    @classmethod
    def unfinished(cls, out: Path) -> "FitJob | None":
        """The unfinished fit of a folder; None if the fit is finished."""
        if is_rank_zero():
            recover_folder(out)
        if not (out / UNFINISHED_FIT).exists():
            if (out / "estimator.json").exists():
                return None
            raise ArtifactError(
                f"{out} holds no unfinished fit: name the folder of an interrupted one, or start a "
                "fit with `--out`"
            )
        content = read_json(out / UNFINISHED_FIT / _FILE, kind=_KIND, version=_VERSION)
        config = config_from_json(content, Schema.from_dict(content["schema"]))
        estimator = FunnelEstimator(**vars(config) | {"trainer": content["trainer"]})
        names = ("log", "truth", "warm_start", "logger", "checkpoint_every")
        return cls(estimator, out=str(out), **{name: content[name] for name in names})

    def run(self, *, resume: bool, progress: bool) -> FunnelEstimator:
        """Fit, from the last checkpoint on `resume`, and replace the checkpoints by the model."""
        checkpoints = self.checkpoints
        try:
            trainer = {**(self.estimator.trainer or {}), "logger": self._logger()}
            estimator = self.estimator.set_params(progress=progress, trainer=trainer)
            truth, log = None, self.log
            if self.truth is not None:
                log = read_frame(self.log)
                truth = truth_of(log, read_frame(self.truth))
            estimator.fit(
                log,
                truth=truth,
                checkpoints=replace(checkpoints, resume=resume),
                warm_start=FunnelEstimator.load(self.warm_start) if self.warm_start else None,
            )
            if is_rank_zero():
                estimator.save(self.out)
        except BaseException:
            if is_rank_zero() and not checkpoints.state.exists():  # nothing to resume from
                shutil.rmtree(checkpoints.folder, ignore_errors=True)
                if not any(Path(self.out).iterdir()):
                    Path(self.out).rmdir()
            raise
        return estimator

    def _logger(self) -> Any:
        # Beside the model's folder, which is replaced as a whole; a resumed fit adds a version.
        if self.logger is None:
            return False
        from lightning.pytorch import loggers

        folder = f"{self.out.rstrip('/')}-logs"
        if self.logger == "csv":
            return loggers.CSVLogger(folder, name="")
        try:
            return loggers.TensorBoardLogger(folder, name="")
        except ModuleNotFoundError as error:
            raise CompositionError(
                "`--logger tensorboard` needs TensorBoard, which is not installed: "
                "`pip install 'mtl_seq[log]'`, or use `--logger csv`"
            ) from error


def checkpoint_rule(every: str | None) -> tuple[int | None, float | None]:
    """Parse the interval of checkpoints: ``"500"`` batches, ``"90s"`` or ``"10m"``.

    Returns:
        Batches or None, and seconds or None; by default ten minutes.

    >>> checkpoint_rule("500"), checkpoint_rule("10m"), checkpoint_rule(None)
    ((500, None), (None, 600.0), (None, 600.0))
    """
    if every is None:
        return None, _SECONDS
    match = re.fullmatch(r"([1-9][0-9]*)([sm]?)", every)
    if match is None:
        raise DataError(
            f"`--checkpoint-every` must be batches, seconds or minutes, such as 500, 90s or 10m, "
            f"found {every!r}"
        )
    number, unit = int(match[1]), match[2]
    return (number, None) if not unit else (None, number * (60.0 if unit == "m" else 1.0))


def local(path: str) -> str:
    """An absolute path, or a URL as it is, so that a fit can be resumed from any folder."""
    return path if "://" in path else os.path.abspath(path)
