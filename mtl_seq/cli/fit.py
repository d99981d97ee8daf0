"""`mtl-seq fit`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.fit_options import FitCommand, Logger, local
from mtl_seq.cli.fitting import BalanceName, CalibrateMethod, CalibrateWeighted
from mtl_seq.cli.options import Bottom, Json, Quiet, Seed
from mtl_seq.errors import DataError, Terminated
from mtl_seq.experiments import BUILDERS
from mtl_seq.fit import CHECKPOINT_RULE, FunnelEstimator
from mtl_seq.fit.storage.builder_json import name_of
from mtl_seq.fit.train.distributed import is_first
from mtl_seq.fit.train.precision import Precision
from mtl_seq.schema import Schema

__all__ = ["fit"]

_WITH_RESUME = {"resume", "quiet", "json"}
_TAKEN_OVER = ("model", "bottom", "impute", "wide", "target_encoding", "settings")


def fit(
    context: typer.Context,
    log: Annotated[
        str | None,
        typer.Argument(help="Parquet file, folder, glob or URL, with labels.", show_default=False),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="JSON file with the roles of the columns.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write the model to.", show_default=False)
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Go on with the unfinished fit in a folder."),
    ] = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Train on from a fitted model, with new days; its model and encoding stay.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(BUILDERS)}. Where unsure, try `--model default` beside "
            "`multitask`, the control; docs/choosing.md says which suits which log."
        ),
    ] = "esmm",
    bottom: Annotated[
        Bottom | None, typer.Option(help="What the towers share; by default the model's own.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="The truth that `simulate` wrote, for the oracle only.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes at most; by default one, on small logs more.", min=1)
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows per step.", min=1)] = 256,
    lr: Annotated[float, typer.Option(help="Learning rate at the start.")] = 5e-3,
    validation: Annotated[
        float, typer.Option(help="Share of the rows held out for the checkpoint rule.")
    ] = 0.05,
    patience: Annotated[
        int, typer.Option(help="Epochs without a better checkpoint before training stops.", min=1)
    ] = 2,
    impute: Annotated[
        bool, typer.Option("--impute", help="Replace missing dense values by the training mean.")
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="Give each tower a linear term on ids and numbers.")
    ] = False,
    target_encoding: Annotated[
        bool, typer.Option(help="Whether to add out-of-fold target encodings of ids.")
    ] = True,
    allow_leak: Annotated[
        list[str] | None, typer.Option(help="A feature that may give a label away; repeatable.")
    ] = None,
    balance: BalanceName = None,
    calibrate: CalibrateMethod = None,
    calibrate_weighted: CalibrateWeighted = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="best.json that `tune` wrote: model and settings, in place of options."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="What the network computes in; auto measures.")
    ] = "float32",
    accumulate: Annotated[int, typer.Option(help="Batches per step of the optimiser.", min=1)] = 1,
    clip: Annotated[
        float | None, typer.Option(help="Largest norm of the gradient; default: any.")
    ] = None,
    logger: Annotated[
        Logger | None, typer.Option(help="Log figures of every epoch to OUT-logs/.")
    ] = None,
    checkpoint_every: Annotated[
        str | None,
        typer.Option(
            metavar="BATCHES|90s|10m", help="How often to leave a checkpoint; default: 10m."
        ),
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fit a model to a log; several processes fit it together under [bold]torchrun[/bold].

    A fit that was stopped goes on with --resume, as if it had not been stopped. After SIGTERM it
    leaves a checkpoint and exits with 143.

    Example: [bold]mtl-seq fit simulated/log.parquet --schema simulated/schema.json --out model/[/bold]

    Example: [bold]mtl-seq fit --resume model/[/bold]
    """
    quiet = quiet or not is_first()
    if resume is None:
        if log is None or schema is None or out is None:
            raise typer.BadParameter("LOG, --schema and --out are needed, or --resume alone")
        if warm_start is not None:
            _check_free(context, _TAKEN_OVER, "`--warm-start` takes over the model as it is")
        command = FitCommand(
            log=local(log),
            schema=Schema.from_json(schema).to_dict(),
            out=str(out),
            model=model,
            bottom=None if bottom is None else bottom.value,
            truth=None if truth is None else local(str(truth)),
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            validation=validation,
            patience=patience,
            impute=impute,
            wide=wide,
            target_encoding=target_encoding,
            allow_leak=allow_leak or [],
            balance=balance,
            calibrate=None if calibrate is None else calibrate.value,
            calibrate_weighted=calibrate_weighted,
            settings=None if settings is None else local(str(settings)),
            warm_start=None if warm_start is None else local(str(warm_start)),
            precision=precision,
            accumulate=accumulate,
            clip=clip,
            logger=logger,
            checkpoint_every=checkpoint_every,
            seed=seed,
        )
        command.begin()
    else:
        _check_free(
            context,
            [p.name for p in context.command.params if p.name not in _WITH_RESUME],
            "`--resume` goes on with what was asked for at the start",
        )
        found = FitCommand.kept_in(resume)
        if found is None:
            note(f"the fit in {resume} is finished: nothing to go on with", quiet=quiet)
            return
        command = found
    try:
        estimator = command.run(resume=resume is not None, progress=not quiet)
    except Terminated as stop:
        if is_first():
            print(
                f"{stop.message}: go on with `mtl-seq fit --resume {command.out}`", file=sys.stderr
            )
        raise typer.Exit(143) from stop
    except KeyboardInterrupt:
        if is_first() and command.state.exists():
            print(
                f"its last checkpoint is kept: go on with `mtl-seq fit --resume {command.out}`",
                file=sys.stderr,
            )
        raise
    if is_first():
        _tell(command, estimator, quiet=quiet, json=json)


def _check_free(context: typer.Context, names: Sequence[str | None], reason: str) -> None:
    """Refuse options that would not be heeded."""
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names
        and parameter.name is not None
        and (source := context.get_parameter_source(parameter.name)) is not None
        and source.name == "COMMANDLINE"
    ]
    if given:
        raise DataError(f"{reason}, so {', '.join(given)} cannot be given with it")


def _tell(command: FitCommand, estimator: FunnelEstimator, *, quiet: bool, json: bool) -> None:
    run, calibration = estimator.run_, estimator.calibration_
    if json:
        print_json(
            {
                "out": command.out,
                "model": name_of(estimator.model),
                "bottom": command.bottom,
                "checkpoint_rule": CHECKPOINT_RULE,
                "rule_by_epoch": list(run.validation_scores),
                "epoch_kept": run.best_epoch + 1,
                "validation": run.to_dict()["validation_metrics"],
                "balance": command.balance,
                "calibration": None if calibration is None else calibration.to_dict(),
            }
        )
        return
    note(
        f"{name_of(estimator.model)} in {command.out}; kept epoch {run.best_epoch + 1} of "
        f"{len(run.validation_scores)} by {CHECKPOINT_RULE}",
        quiet=quiet,
    )
    if calibration is not None:
        note(f"pCVR calibrated: {calibration}", quiet=quiet)
    # What is calibrated, or aims at all impressions, is not to be judged by clicks alone.
    on_clicks = calibration is None and not estimator.model_.objective.debiases
    for quantity in run.worse_than_constant():
        if quantity == "pctr" or on_clicks:
            own, constant = (
                run.validation_metrics[f"{quantity}/{name}"] for name in ("log_loss", "constant")
            )
            note(
                f"warning: the validation log loss of {quantity}, {own:.4f}, is worse than that of "
                f"a constant, the training rows' rate ({constant:.4f}): bring more rows, or fit "
                "with fewer --epochs or a smaller --lr",
                quiet=quiet,
            )
