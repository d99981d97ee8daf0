"""One training run under Lightning's Trainer."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from mtl_seq.errors import CompositionError, DataError, Terminated
from mtl_seq.fit.balance import Balance, BalanceFactory
from mtl_seq.fit.optim import OptimizerFactory
from mtl_seq.fit.prepare.rows import Outcomes, Rows, Streamed, has_propensity, in_order, outcomes
from mtl_seq.fit.train.dataloaders import training_loader
from mtl_seq.fit.train.distributed import is_first
from mtl_seq.fit.train.precision import Arithmetic, Precision
from mtl_seq.fit.train.propensity import NetworkPropensity, propensity_source
from mtl_seq.fit.train.result import TrainingResult
from mtl_seq.fit.train.resume import Checkpoints
from mtl_seq.losses import CrossFit, EvalMode, MovingAverage
from mtl_seq.models import FunnelModel

if TYPE_CHECKING:
    from lightning import Callback

__all__ = ["train"]


def train(
    model: FunnelModel,
    rows: Rows,
    validation: Rows,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    id_dropout: float,
    patience: int,
    seed: int,
    title: str | None,
    trainer: Mapping[str, Any],
    balance: BalanceFactory | None = None,
    checkpoints: Checkpoints | None = None,
    optimizer: OptimizerFactory | None = None,
    precision: Precision = "float32",
) -> TrainingResult:
    """Train a model in place and leave it with the weights of its best epoch.

    Args:
        model: The model.
        rows: Training rows.
        validation: Rows for the checkpoint rule; some of them clicked.
        epochs: At most so many passes.
        batch_size: Rows per step.
        lr: Learning rate.
        weight_decay: Decoupled weight decay of all but embedding tables.
        id_dropout: Share of ids replaced by the unseen.
        patience: Epochs without a better value of the rule before training stops.
        seed: Seed of the order of the rows, of the id dropout and of dropout in the model.
        title: Name on the progress line; None for no progress line.
        trainer: Further arguments of Lightning's Trainer.
        balance: Builds what balances the losses; None to minimise their sum.
        checkpoints: Where the run is kept while it is unfinished, and taken up again; None for
            nowhere.
        optimizer: Builds the optimiser; by default `fit.DenseAdam()`.
        precision: In what the network computes.

    Returns:
        The rule's values, the epoch kept with its figures, and what was tallied.

    Raises:
        CompositionError: Policies that want propensities from several sources at once, or a balance
            of what cannot be balanced.
        DataError: A setting out of its range, or no clicked validation row of positive weight.
        KeyboardInterrupt: The run was interrupted.
        Terminated: SIGTERM came, and there are checkpoints.
    """
    from mtl_seq.fit.train.callbacks import KeepBest, ProgressLine
    from mtl_seq.fit.train.cross_fitting import cross_fitted
    from mtl_seq.fit.train.lightning_module import FunnelModule
    from mtl_seq.fit.train.trainer import build_engine, engine_settings

    _check_validation(outcomes(validation), ranks_only=model.objective.ranks_only)
    if epochs < 1 or lr <= 0:
        raise DataError(f"`epochs` must be at least 1 and `lr` above 0, found {epochs} and {lr}")
    keep = KeepBest(patience)
    settings = engine_settings(trainer, finds_unused=not model.network.head.independent)
    _check_turns(model, settings)
    callbacks: list[Callback] = [keep]
    if title is not None and is_first():
        callbacks.append(ProgressLine(title))
    source = propensity_source(model.objective, logged=has_propensity(rows))
    supply = None
    if isinstance(source, EvalMode | MovingAverage):
        supply = NetworkPropensity(model.network, source)
    with _quiet(), _seeded(seed):
        module = FunnelModule(
            model,
            lr=lr,
            weight_decay=weight_decay,
            propensity=supply,
            balance=balance and _balance(balance, model, settings),
            optimizer=optimizer,
            precision=precision,
        )
        try:
            if isinstance(source, CrossFit):
                if isinstance(rows, Streamed):
                    raise CompositionError(
                        "`CrossFit` adds a propensity to every row before training, and these "
                        "rows are streamed: hand in a frame that fits into memory, or take "
                        "propensities from `EvalMode` or `MovingAverage`"
                    )
                rows = cross_fitted(
                    model.network,
                    rows,
                    source.folds,
                    epochs=epochs,
                    batch_size=batch_size,
                    lr=lr,
                    weight_decay=weight_decay,
                    id_dropout=id_dropout,
                    seed=seed,
                    settings=settings,
                    optimizer=module.optimizer,
                )
            begun = None
            if checkpoints is not None and checkpoints.state.exists():
                begun = checkpoints.state
            engine = build_engine(settings, callbacks, checkpoints, epochs=epochs)
            loader = training_loader(
                model,
                rows,
                batch_size,
                seed=seed,
                id_dropout=id_dropout,
                rank=engine.global_rank,
                world_size=engine.world_size,
            )
            if engine.global_rank:
                # Each process has dropout of its own.
                torch.manual_seed(seed + engine.global_rank)
            held = in_order(validation, rank=engine.global_rank, world_size=engine.world_size)
            engine.fit(module, loader, held, ckpt_path=begun)
        except Terminated:
            raise
        except SystemExit as stop:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stop
    model.load_state_dict(keep.state)
    arithmetic = module.arithmetic or Arithmetic.FLOAT32
    return TrainingResult(
        tuple(keep.values), keep.epoch, tuple(module.tallies), arithmetic, keep.figures
    )


def _balance(build: BalanceFactory, model: FunnelModel, settings: Mapping[str, Any]) -> Balance:
    if model.schedule is not None:
        raise CompositionError(
            "`balance` weighs losses that train together, but this model's losses train in turns: "
            "leave `balance` out"
        )
    if settings.get("accumulate_grad_batches", 1) != 1 or "16-mixed" in str(
        settings.get("precision", "")
    ).replace("bf16", ""):
        raise CompositionError(
            "`balance` takes gradients of whole batches as they are: leave "
            "`accumulate_grad_batches` and a scaled precision out of `trainer`"
        )
    return build(tuple(model.objective.losses))


def _check_turns(model: FunnelModel, settings: Mapping[str, Any]) -> None:
    named = ("accumulate_grad_batches", "gradient_clip_val")
    given = [name for name in named if settings.get(name) not in (None, 1)]
    if model.schedule is not None and given:
        raise CompositionError(
            f"the losses of this model train in turns, each with a step of its own, and "
            f"{' and '.join(given)} would not reach them: leave that out"
        )


def _check_validation(found: Outcomes, *, ranks_only: bool) -> None:
    if ranks_only and not 0 < found.conversions < found.rows:
        raise DataError(
            "the validation rows of a ranker must hold a conversion and another row, found "
            f"{found.conversions} conversions in {found.rows:,}: "
            "change `validation`, or hand in other rows"
        )
    if not found.clicks:
        raise DataError(
            "the validation rows must hold a clicked row of positive weight, found none: without "
            "one the checkpoint rule is undefined; change `validation`, or hand in other rows"
        )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Dropout can only draw from the global generators: they are lent, and given back."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's remarks on devices and loaders say nothing to our users."""
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
