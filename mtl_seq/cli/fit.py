"""`mtl-seq fit`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mtl_seq._files import check_folder
from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.fitting import (
    BalanceName,
    CalibrateMethod,
    CalibrateWeighted,
    balance_named,
    calibrate_as,
)
from mtl_seq.cli.options import BOTTOMS, Bottom, Json, Quiet, SchemaFile, Seed, builder
from mtl_seq.comparison import BUILDERS
from mtl_seq.data import Encoding, read_frame, truth_of
from mtl_seq.errors import DataError
from mtl_seq.fit import CHECKPOINT_RULE, FunnelEstimator
from mtl_seq.fit.saved import FILES
from mtl_seq.fit.tuned import Tuned
from mtl_seq.schema import Schema

__all__ = ["fit"]


def fit(
    log: Annotated[Path, typer.Argument(help="Parquet file, or folder of them, with labels.")],
    schema: SchemaFile,
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")],
    model: Annotated[str, typer.Option(help=f"One of {', '.join(BUILDERS)}.")] = "esmm",
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
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fit a model to a log.

    Example: [bold]mtl-seq fit world/log.parquet --schema world/schema.json --out model/[/bold]
    """
    if lr <= 0:
        raise DataError(f"`--lr` must be above 0, found {lr}")
    check_folder(out, FILES)
    estimator = FunnelEstimator(
        builder(model) if bottom is None else partial(builder(model), bottom=BOTTOMS[bottom]),
        Schema.from_json(schema),
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        validation=validation,
        encoding=Encoding(
            impute="mean" if impute else None,
            wide=wide,
            target_encoding=20.0 if target_encoding else None,
        ),
        allow_leak=allow_leak or (),
        balance=balance_named(balance),
        calibrate=calibrate_as(calibrate, calibrate_weighted),
        seed=seed,
        progress=not quiet,
    )
    if settings is not None:
        Tuned.from_json(settings).apply(estimator)
    frame = read_frame(log)
    estimator.fit(frame, None if truth is None else truth_of(frame, read_frame(truth)))
    estimator.save(out)
    run, calibration = estimator.run_, estimator.calibration_
    if json:
        print_json(
            {
                "out": str(out),
                "model": model,
                "bottom": None if bottom is None else bottom.value,
                "checkpoint_rule": CHECKPOINT_RULE,
                "rule_by_epoch": list(run.rule),
                "epoch_kept": run.best_epoch + 1,
                "balance": balance,
                "calibration": None if calibration is None else calibration.to_dict(),
            }
        )
        return
    note(
        f"{model} in {out}; kept epoch {run.best_epoch + 1} of {len(run.rule)} by "
        f"{CHECKPOINT_RULE}",
        quiet=quiet,
    )
    if calibration is not None:
        note(f"pCVR calibrated: {calibration}", quiet=quiet)
