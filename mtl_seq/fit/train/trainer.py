"""Lightning's Trainer for a fit."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning import Callback, Trainer

from mtl_seq.errors import CompositionError
from mtl_seq.fit.train.checkpoint_callback import AtomicIO, WriteCheckpoints
from mtl_seq.fit.train.distributed import launched
from mtl_seq.fit.train.resume import Checkpoints

__all__ = ["build_trainer", "trainer_settings"]

_QUIET = {
    "accelerator": "auto",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


def trainer_settings(given: Mapping[str, Any], *, finds_unused: bool) -> dict[str, Any]:
    """Arguments of the Trainer: the given ones over those of the launched processes over defaults.

    Args:
        given: The user's arguments.
        finds_unused: Whether parameters may go without a gradient, for which several processes
            search in every step.
    """
    settings = {**_QUIET, **launched(), **given}
    if settings.get("strategy") == "ddp" and finds_unused:
        settings["strategy"] = "ddp_find_unused_parameters_true"
    return settings


def build_trainer(
    settings: Mapping[str, Any],
    callbacks: Sequence[Callback],
    checkpoints: Checkpoints | None,
    *,
    epochs: int,
) -> Trainer:
    """The Trainer of a fit.

    Args:
        settings: From `trainer_settings`.
        callbacks: Further callbacks.
        checkpoints: Folder from which the fit can be resumed; None for none.
        epochs: Largest number of epochs.

    Raises:
        CompositionError: Processes that are forked from this one, whose weights would be lost.
    """
    arguments = {**settings, "callbacks": [*settings.get("callbacks", ()), *callbacks]}
    if checkpoints is not None:
        arguments["callbacks"].append(WriteCheckpoints(checkpoints))
        arguments["enable_checkpointing"] = True
        arguments["plugins"] = [*_listed(arguments.get("plugins")), AtomicIO()]
    trainer = Trainer(max_epochs=epochs, **arguments)
    launcher = trainer.strategy.launcher
    if trainer.world_size > 1 and type(launcher).__name__ == "_MultiProcessingLauncher":
        raise CompositionError(
            "`strategy` must not fork or spawn processes, which would keep the weights to "
            "themselves: start them with `torchrun --nproc-per-node N`, or use 'ddp'"
        )
    return trainer


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
