"""One training run under Lightning's Trainer."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from mtl_seq.errors import CompositionError, DataError, Terminated
from mtl_seq.fit.balance import Balance, BalanceFactory
from mtl_seq.fit.config import FitConfig, builder_name
from mtl_seq.fit.prepare.rows import Outcomes, Streamed, has_propensity, in_order, outcomes
from mtl_seq.fit.prepare.training_data import TrainingData
from mtl_seq.fit.train.dataloaders import training_loader
from mtl_seq.fit.train.distributed import is_rank_zero
from mtl_seq.fit.train.precision import Arithmetic
from mtl_seq.fit.train.propensity import NetworkPropensity, propensity_source
from mtl_seq.fit.train.result import CHECKPOINT_RULE, RANKING_RULE, TrainingResult
from mtl_seq.fit.train.resume import Checkpoints
from mtl_seq.losses import CrossFit, EvalMode, MovingAverage
from mtl_seq.models import FunnelModel
from mtl_seq.records import FunnelBatch

if TYPE_CHECKING:
    from lightning import Callback

__all__ = ["train"]


def train(
    config: FitConfig, data: TrainingData, checkpoints: Checkpoints | None = None
) -> TrainingResult:
    """Train a model in place and leave it with the weights of its best epoch.

    Args:
        config: The settings.
        data: The model, its training rows, and rows for the checkpoint rule, some of them clicked.
        checkpoints: Folder from which the run can be resumed; None for none.

    Returns:
        The values of the checkpoint rule, the epoch kept with its validation metrics, and the
        training metrics of every epoch.

    Raises:
        CompositionError: Policies that want propensities from several sources at once, or a balance
            of losses that cannot be balanced.
        DataError: A setting out of its range, or no clicked validation row of positive weight.
        KeyboardInterrupt: The run was interrupted.
        Terminated: SIGTERM came, and there are checkpoints.
    """
    from mtl_seq.fit.train.best_epoch import KeepBest
    from mtl_seq.fit.train.lightning_module import FunnelModule
    from mtl_seq.fit.train.progress_line import ProgressLine
    from mtl_seq.fit.train.trainer import build_trainer, trainer_settings

    model, epochs = data.model, config.epochs_for(data.size)
    _check_validation(outcomes(data.validation), ranks_only=model.objective.ranks_only)
    if epochs < 1 or config.lr <= 0:
        raise DataError(
            f"`epochs` must be at least 1 and `lr` above 0, found {epochs} and {config.lr}"
        )
    keep = KeepBest(config.patience)
    settings = trainer_settings(config.trainer, finds_unused=not model.network.head.independent)
    _check_alternating(model, settings)
    callbacks: list[Callback] = [keep]
    if config.progress and is_rank_zero():
        callbacks.append(ProgressLine(builder_name(config.model)))
    source = propensity_source(model.objective, logged=has_propensity(data.rows))
    propensity = None
    if isinstance(source, EvalMode | MovingAverage):
        propensity = NetworkPropensity(model.network, source)
    with _quiet(), _seeded(config.seed):
        module = FunnelModule(
            model,
            lr=config.lr,
            weight_decay=config.weight_decay,
            propensity=propensity,
            balance=config.balance and _balance(config.balance, model, settings),
            optimizer=config.optimizer,
            precision=config.precision,
        )
        try:
            rows = data.rows
            if isinstance(source, CrossFit):
                rows = _cross_fitted(config, data, source.folds, settings)
            trainer = build_trainer(settings, callbacks, checkpoints, epochs=epochs)
            rank, world_size = trainer.global_rank, trainer.world_size
            loader = training_loader(config, model, rows, rank=rank, world_size=world_size)
            if rank:
                # Each process draws its own dropout.
                torch.manual_seed(config.seed + rank)
            held_out = in_order(data.validation, rank=rank, world_size=world_size)
            resume_from = None
            if checkpoints is not None and checkpoints.state.exists():
                resume_from = checkpoints.state
            trainer.fit(module, loader, held_out, ckpt_path=resume_from)
        except Terminated:
            raise
        except SystemExit as stop:  # Lightning raises it on Ctrl-C
            raise KeyboardInterrupt from stop
    model.load_state_dict(keep.state)
    return TrainingResult(
        tuple(keep.values),
        keep.epoch,
        tuple(module.history),
        module.arithmetic or Arithmetic.FLOAT32,
        keep.metrics,
        RANKING_RULE if model.objective.ranks_only else CHECKPOINT_RULE,
    )


def _cross_fitted(
    config: FitConfig, data: TrainingData, folds: int, settings: Mapping[str, Any]
) -> FunnelBatch:
    from mtl_seq.fit.train.cross_fitting import cross_fitted

    if isinstance(data.rows, Streamed):
        raise CompositionError(
            "`CrossFit` adds a propensity to every row before training, and these rows are "
            "streamed: pass a frame that fits into memory, or take propensities from `EvalMode` "
            "or `MovingAverage`"
        )
    return cross_fitted(
        data.model.network,
        data.rows,
        folds,
        config=config,
        epochs=config.epochs_for(data.size),
        settings=settings,
    )


def _balance(build: BalanceFactory, model: FunnelModel, settings: Mapping[str, Any]) -> Balance:
    if model.schedule is not None:
        raise CompositionError(
            "`balance` weighs losses that train together, but this model alternates between its "
            "losses: leave `balance` out"
        )
    if settings.get("accumulate_grad_batches", 1) != 1 or "16-mixed" in str(
        settings.get("precision", "")
    ).replace("bf16", ""):
        raise CompositionError(
            "`balance` needs unscaled gradients of whole batches: leave "
            "`accumulate_grad_batches` and a scaled precision out of `trainer`"
        )
    return build(tuple(model.objective.losses))


def _check_alternating(model: FunnelModel, settings: Mapping[str, Any]) -> None:
    arguments = ("accumulate_grad_batches", "gradient_clip_val")
    given = [name for name in arguments if settings.get(name) not in (None, 1)]
    if model.schedule is not None and given:
        raise CompositionError(
            "this model alternates between its losses, with an optimiser step for each, and "
            f"{' and '.join(given)} would not apply to them: leave that out"
        )


def _check_validation(counts: Outcomes, *, ranks_only: bool) -> None:
    if ranks_only and not 0 < counts.conversions < counts.rows:
        raise DataError(
            "the validation rows of a ranker must hold a conversion and another row, found "
            f"{counts.conversions} conversions in {counts.rows:,}: "
            "change `validation`, or pass other rows"
        )
    if not counts.clicks:
        raise DataError(
            "the validation rows must hold a clicked row of positive weight, found none: without "
            "one the checkpoint rule is undefined; change `validation`, or pass other rows"
        )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global RNGs, which dropout draws from, and restore their state at the end."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's remarks on devices and loaders."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message="find_unused_parameters=True")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
