"""`mtl-seq fit`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.fit_options import (
    BALANCES,
    FitJob,
    Logger,
    Method,
    balance_named,
    calibration,
    local,
)
from mtl_seq.cli.options import (
    DEFAULT_MODEL,
    BottomName,
    Epochs,
    Json,
    ModelName,
    Quiet,
    Seed,
    builder,
)
from mtl_seq.data import Encoding
from mtl_seq.errors import DataError, Terminated
from mtl_seq.fit import FitConfig, FunnelEstimator
from mtl_seq.fit.config import Precision, builder_name
from mtl_seq.fit.storage.model_folder import config_to_json
from mtl_seq.fit.train.distributed import is_rank_zero
from mtl_seq.schema import Schema
from mtl_seq.tune import Tuned

__all__ = ["fit"]

_WITH_RESUME = {"resume", "quiet", "json"}
_OF_THE_MODEL = ("model", "bottom", "impute", "wide", "target_encoding", "settings")


def fit(
    context: typer.Context,
    log: Annotated[
        str | None,
        typer.Argument(help="Parquet file, folder, glob or URL, with labels.", show_default=False),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="JSON file of the schema: the roles of the columns.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write the model to.", show_default=False)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Resume an interrupted fit.")
    ] = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Continue from a fitted model with new rows; its model and encoding are kept.",
        ),
    ] = None,
    model: ModelName = DEFAULT_MODEL,
    bottom: BottomName = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Parquet file of the truth that `simulate` wrote, for the oracle."),
    ] = None,
    epochs: Epochs = FitConfig.epochs,
    batch_size: Annotated[int, typer.Option(help="Rows per step.", min=1)] = FitConfig.batch_size,
    lr: Annotated[
        float, typer.Option(help="Initial learning rate; it falls linearly to 0.")
    ] = FitConfig.lr,
    validation: Annotated[
        float, typer.Option(help="Share of the rows held out for the checkpoint rule.")
    ] = FitConfig.validation,
    patience: Annotated[
        int, typer.Option(help="Epochs without improvement before training stops.", min=1)
    ] = FitConfig.patience,
    impute: Annotated[
        bool, typer.Option("--impute", help="Replace missing numbers by the training mean.")
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="Add a linear term of ids and numbers to each tower.")
    ] = False,
    target_encoding: Annotated[
        bool, typer.Option(help="Whether to add out-of-fold target encodings of ids.")
    ] = True,
    allow_leak: Annotated[
        list[str] | None,
        typer.Option(help="Feature that may predict a label almost perfectly; repeatable."),
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Balance of the losses: {', '.join(BALANCES)}, or an aggregator of TorchJD such "
            "as PCGrad, CAGrad, GradVac, NashMTL, UPGrad.",
        ),
    ] = None,
    calibrate: Annotated[
        Method | None,
        typer.Option(
            metavar="NAME",
            help="Calibrate pCVR on clicked validation rows: shift, platt or isotonic.",
        ),
    ] = None,
    calibrate_weighted: Annotated[
        bool | None,
        typer.Option(
            "--calibrate-weighted/--calibrate-plain",
            help="Whether to weight these by inverse propensity; default: if the model debiases.",
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="best.json of `tune`, whose model and settings replace the options."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(metavar="NAME", help="float32, bfloat16, or auto, the fastest.")
    ] = FitConfig.precision,
    accumulate_grad_batches: Annotated[
        int, typer.Option(help="Batches per optimiser step.", min=1)
    ] = 1,
    gradient_clip_val: Annotated[
        float | None, typer.Option(help="Largest norm of the gradient; default: not clipped.")
    ] = None,
    logger: Annotated[
        Logger | None,
        typer.Option(metavar="NAME", help="csv or tensorboard: metrics of epochs in OUT-logs/."),
    ] = None,
    checkpoint_every: Annotated[
        str | None,
        typer.Option(metavar="BATCHES|90s|10m", help="Interval of checkpoints; default: 10m."),
    ] = None,
    seed: Seed = FitConfig.seed,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fit a model to a log; under [bold]torchrun[/bold], several processes fit it together.

    An interrupted fit is resumed with --resume and ends as if it had not been interrupted. On
    SIGTERM, it writes a checkpoint and exits with 143.

    Example: [bold]mtl-seq fit log.parquet --schema schema.json --out model/[/bold]

    Example: [bold]mtl-seq fit --resume model/[/bold]
    """
    quiet = quiet or not is_rank_zero()
    if resume is None:
        if log is None or schema is None or out is None:
            raise typer.BadParameter("LOG, --schema and --out are needed, or --resume alone")
        if warm_start is not None:
            _check_free(context, _OF_THE_MODEL, "`--warm-start` keeps the model as it is")
        estimator = FunnelEstimator(
            builder(model, bottom),
            Schema.from_json(schema),
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            validation=validation,
            patience=patience,
            encoding=Encoding(
                impute="mean" if impute else None,
                wide=wide,
                target_encoding=Encoding.target_encoding if target_encoding else None,
            ),
            allow_leak=allow_leak or (),
            balance=balance_named(balance),
            calibrate=calibration(calibrate, calibrate_weighted),
            precision=precision,
            seed=seed,
            trainer={
                "accumulate_grad_batches": accumulate_grad_batches,
                "gradient_clip_val": gradient_clip_val,
            },
        )
        if settings is not None:
            Tuned.from_json(settings).apply(estimator)
        if warm_start is not None:
            earlier = FunnelEstimator.load(warm_start)
            estimator.set_params(model=earlier.model, encoding=earlier.encoding)
        job = FitJob(
            estimator,
            local(log),
            str(out),
            None if truth is None else local(str(truth)),
            None if warm_start is None else local(str(warm_start)),
            logger,
            checkpoint_every,
        )
        job.begin()
    else:
        names = [p.name for p in context.command.params if p.name not in _WITH_RESUME]
        _check_free(context, names, "`--resume` keeps the options of the interrupted fit")
        unfinished = FitJob.unfinished(resume)
        if unfinished is None:
            note(f"the fit in {resume} is finished: there is nothing to resume", quiet=quiet)
            return
        job = unfinished
    try:
        fitted = job.run(resume=resume is not None, progress=not quiet)
    except Terminated as stop:
        _say_how_to_resume(job, stop.message)
        raise typer.Exit(143) from stop
    except KeyboardInterrupt:
        if job.checkpoints.state.exists():
            _say_how_to_resume(job, "the last checkpoint is kept")
        raise
    if is_rank_zero():
        _print(fitted, job.out, quiet=quiet, json=json)


def _check_free(context: typer.Context, names: Sequence[str | None], reason: str) -> None:
    """Refuse options that would have no effect."""
    conflicting = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names
        and parameter.name is not None
        and (source := context.get_parameter_source(parameter.name)) is not None
        and source.name == "COMMANDLINE"
    ]
    if conflicting:
        raise DataError(f"{reason}, so {', '.join(conflicting)} cannot be given with it")


def _say_how_to_resume(job: FitJob, reason: str) -> None:
    if is_rank_zero():
        print(f"{reason}: resume with `mtl-seq fit --resume {job.out}`", file=sys.stderr)


def _print(estimator: FunnelEstimator, out: str, *, quiet: bool, json: bool) -> None:
    run, calibrated = estimator.run_, estimator.calibration_
    name = builder_name(estimator.config_.model)
    if json:
        print_json(
            {
                "out": out,
                "model": name,
                "settings": config_to_json(estimator.config_)["settings"],
                "checkpoint_rule": run.checkpoint_rule,
                "rule_by_epoch": list(run.validation_scores),
                "epoch_kept": run.best_epoch + 1,
                "validation": run.to_dict()["validation_metrics"],
                "calibration": None if calibrated is None else calibrated.to_dict(),
            }
        )
        return
    note(
        f"{name} in {out}; epoch {run.best_epoch + 1} of {len(run.validation_scores)}: "
        f"{run.checkpoint_rule} (docs/training.md)",
        quiet=quiet,
    )
    if calibrated is not None:
        note(f"pCVR calibrated: {calibrated}", quiet=quiet)
    # The log loss on clicks does not judge pCVR that is calibrated or debiased.
    on_clicks = calibrated is None and not estimator.model_.objective.debiases
    for quantity in run.worse_than_constant():
        if quantity == "pctr" or on_clicks:
            loss, constant = (
                run.validation_metrics[f"{quantity}/{metric}"]
                for metric in ("log_loss", "constant")
            )
            note(
                f"warning: the validation log loss of {quantity}, {loss:.4f}, is worse than that "
                f"of a constant, the training rows' rate ({constant:.4f}): use more rows, fewer "
                "--epochs or a smaller --lr",
                quiet=quiet,
            )
