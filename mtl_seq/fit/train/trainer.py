"""Lightning's Trainer as a fit wants it."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning import Callback, Trainer

from mtl_seq.errors import CompositionError
from mtl_seq.fit.train.checkpoint_callback import AtomicIO, WriteCheckpoints
from mtl_seq.fit.train.distributed import launched
from mtl_seq.fit.train.resume import Checkpoints

__all__ = ["build_engine", "engine_settings"]

_QUIET = {
    "accelerator": "auto",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


def engine_settings(given: Mapping[str, Any], *, finds_unused: bool) -> dict[str, Any]:
    """Arguments of the Trainer: what is given, over the processes there are, over our own.

    Args:
        given: Of one's own.
        finds_unused: Whether parameters may go without a gradient, which several processes then
            look for in every step.
    """
    found = {**_QUIET, **launched(), **given}
    if found.get("strategy") == "ddp" and finds_unused:
        found["strategy"] = "ddp_find_unused_parameters_true"
    return found


def build_engine(
    settings: Mapping[str, Any],
    callbacks: Sequence[Callback],
    checkpoints: Checkpoints | None,
    *,
    epochs: int,
) -> Trainer:
    """The Trainer of a fit.

    Args:
        settings: What `engine_settings` made.
        callbacks: Further callbacks.
        checkpoints: Where the fit is kept while it is unfinished; None for nowhere.
        epochs: At most so many passes.

    Raises:
        CompositionError: Processes that are forked from this one, whose weights would be lost.
    """
    found = {**settings, "callbacks": [*settings.get("callbacks", ()), *callbacks]}
    if checkpoints is not None:
        found["callbacks"].append(WriteCheckpoints(checkpoints))
        found["enable_checkpointing"] = True
        found["plugins"] = [*_listed(found.get("plugins")), AtomicIO()]
    engine = Trainer(max_epochs=epochs, **found)
    launcher = engine.strategy.launcher
    if engine.world_size > 1 and type(launcher).__name__ == "_MultiProcessingLauncher":
        raise CompositionError(
            "`strategy` must not fork or spawn processes, which would keep the weights to "
            "themselves: start them with `torchrun --nproc-per-node N`, or use 'ddp'"
        )
    return engine


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
