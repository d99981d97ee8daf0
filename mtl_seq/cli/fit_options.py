"""A fit as the shell asked for it, kept so that the shell can ask to go on with it."""

import os
import re
import shutil
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mtl_seq._files import check_folder, read_json, recover_folder, write_json
from mtl_seq.cli.fitting import Method, balance_named, calibrate_as
from mtl_seq.cli.options import BOTTOMS, Bottom, builder
from mtl_seq.data import Encoding, read_frame, truth_of
from mtl_seq.errors import ArtifactError, CompositionError, DataError
from mtl_seq.fit import Checkpoints, FitConfig, FunnelEstimator
from mtl_seq.fit.storage.model_folder import FILES, UNFINISHED_FIT
from mtl_seq.fit.train.distributed import is_rank_zero
from mtl_seq.schema import Schema
from mtl_seq.tune.result import Tuned

__all__ = ["FitCommand", "Logger", "checkpoint_rule", "local"]

_KIND, _VERSION = "mtl_seq.fit", 1
_FILE = "fit.json"
_SECONDS = 600.0

Logger = Literal["csv", "tensorboard"]


@dataclass(frozen=True)
class FitCommand:
    """The options of `mtl-seq fit` whose meanings its help tells; all of them are JSON values."""

    log: str
    schema: dict[str, Any]
    out: str
    model: str
    bottom: str | None
    truth: str | None
    epochs: int | None
    batch_size: int
    lr: float
    validation: float
    patience: int
    impute: bool
    wide: bool
    target_encoding: bool
    allow_leak: list[str]
    balance: str | None
    calibrate: str | None
    calibrate_weighted: bool | None
    settings: str | None
    warm_start: str | None
    precision: Literal["float32", "bfloat16", "auto"]
    accumulate: int
    clip: float | None
    logger: Logger | None
    checkpoint_every: str | None
    seed: int

    @property
    def kept(self) -> Path:
        """The folder of what is unfinished."""
        return Path(self.out) / UNFINISHED_FIT

    @property
    def state(self) -> Path:
        """The file of the last checkpoint."""
        return Checkpoints(self.kept).state

    def begin(self) -> None:
        """Keep the command beside where its checkpoints will be.

        Raises:
            ArtifactError: Something that would be lost stands there.
            DataError: A number that is out of its range.
            CompositionError: A model or a balance that there is not.
        """
        if self.lr <= 0:
            raise DataError(f"`--lr` must be above 0, found {self.lr}")
        checkpoint_rule(self.checkpoint_every)
        self._estimator(progress=False)
        check_folder(self.out, (*FILES, UNFINISHED_FIT))
        if not is_rank_zero():
            return
        if self.kept.exists():
            raise ArtifactError(
                f"{self.out} holds an unfinished fit: go on with it, `mtl-seq fit --resume "
                f"{self.out}`, or remove {self.kept}"
            )
        write_json(self.kept / _FILE, asdict(self), kind=_KIND, version=_VERSION)

    @classmethod
    def kept_in(cls, out: Path) -> "FitCommand | None":
        """The unfinished command of a folder; None where it was finished.

        Raises:
            ArtifactError: There is none.
        """
        if is_rank_zero():
            recover_folder(out)
        if not (out / UNFINISHED_FIT).exists():
            if (out / "estimator.json").exists():
                return None
            raise ArtifactError(
                f"{out} holds no unfinished fit: name the folder that `--out` named, or begin anew"
            )
        content = read_json(out / UNFINISHED_FIT / _FILE, kind=_KIND, version=_VERSION)
        content.pop("format")
        return cls(**content | {"out": str(out)})

    def run(self, *, resume: bool, progress: bool) -> FunnelEstimator:
        """Fit, and write the model in the place of what was kept.

        Args:
            resume: Whether to go on with what was kept.
            progress: Whether to draw a progress line.
        """
        try:
            estimator = self._estimator(progress=progress)
            steps, seconds = checkpoint_rule(self.checkpoint_every)
            kept = Checkpoints(self.kept, steps=steps, seconds=seconds, resume=resume)
            start = None if self.warm_start is None else FunnelEstimator.load(self.warm_start)
            if self.truth is None:
                estimator.fit(self.log, checkpoints=kept, warm_start=start)
            else:
                frame = read_frame(self.log)
                truth = truth_of(frame, read_frame(self.truth))
                estimator.fit(frame, truth=truth, checkpoints=kept, warm_start=start)
            if is_rank_zero():
                estimator.save(self.out)
        except BaseException:
            self._forget_a_start()
            raise
        return estimator

    def _forget_a_start(self) -> None:
        """Without a checkpoint there is nothing to go on with."""
        if is_rank_zero() and not self.state.exists():
            shutil.rmtree(self.kept, ignore_errors=True)
            if not any(Path(self.out).iterdir()):
                Path(self.out).rmdir()

    def _estimator(self, *, progress: bool) -> FunnelEstimator:
        build = builder(self.model)
        method = None if self.calibrate is None else Method(self.calibrate)
        converted: dict[str, Any] = {
            "model": build
            if self.bottom is None
            else partial(build, bottom=BOTTOMS[Bottom(self.bottom)]),
            "schema": Schema.from_dict(self.schema),
            "encoding": Encoding(
                impute="mean" if self.impute else None,
                wide=self.wide,
                target_encoding=Encoding.target_encoding if self.target_encoding else None,
            ),
            "balance": balance_named(self.balance),
            "calibrate": calibrate_as(method, self.calibrate_weighted),
            "progress": progress,
            "trainer": {
                "accumulate_grad_batches": self.accumulate,
                "gradient_clip_val": self.clip,
                "logger": False if self.logger is None else self._logger(self.logger),
            },
        }
        settings = asdict(self)
        same = {f.name: settings[f.name] for f in fields(FitConfig) if f.name in settings}
        estimator = FunnelEstimator(**same | converted)
        if self.settings is not None:
            Tuned.from_json(self.settings).apply(estimator)
        if self.warm_start is not None:
            before = FunnelEstimator.load(self.warm_start)
            estimator.model, estimator.encoding = before.model, before.encoding
        return estimator

    def _logger(self, name: Logger) -> Any:
        # Beside the model, whose folder is replaced as a whole; a fit that goes on has a new
        # version of its own there.
        from lightning.pytorch import loggers

        folder = f"{self.out.rstrip('/')}-logs"
        if name == "csv":
            return loggers.CSVLogger(folder, name="")
        try:
            return loggers.TensorBoardLogger(folder, name="")
        except ModuleNotFoundError as error:
            raise CompositionError(
                "`--logger tensorboard` needs TensorBoard, which is not installed: "
                "`pip install 'mtl_seq[log]'`, or use `--logger csv`"
            ) from error


def checkpoint_rule(every: str | None) -> tuple[int | None, float | None]:
    """How often checkpoints are written: ``"500"`` batches, ``"90s"`` or ``"10m"``.

    Returns:
        Batches or None, and seconds or None; by default ten minutes.

    Raises:
        DataError: None of these.

    >>> checkpoint_rule("500"), checkpoint_rule("10m"), checkpoint_rule(None)
    ((500, None), (None, 600.0), (None, 600.0))
    """
    if every is None:
        return None, _SECONDS
    found = re.fullmatch(r"([1-9][0-9]*)([sm]?)", every)
    if found is None:
        raise DataError(
            f"`--checkpoint-every` must be batches, seconds or minutes, such as 500, 90s or 10m, "
            f"found {every!r}"
        )
    number, unit = int(found[1]), found[2]
    return (number, None) if not unit else (None, number * (60.0 if unit == "m" else 1.0))


def local(place: str) -> str:
    """A place that means the same from any folder: an absolute path, or a URL as it is."""
    return place if "://" in place else os.path.abspath(place)
