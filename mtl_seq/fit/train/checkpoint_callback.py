"""Writing and reading of checkpoints under Lightning's Trainer."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from mtl_seq._files import atomic_path
from mtl_seq.errors import ArtifactError, Terminated
from mtl_seq.fit.train.resume import Checkpoints

__all__ = ["AtomicIO", "WriteCheckpoints"]

_NOTHING, _WRITE, _STOP = 0, 1, 2


class AtomicIO(TorchCheckpointIO):
    """Writes a checkpoint aside and renames it; reads only tensors and plain values, no code."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ARG002
    ) -> None:
        """Write a checkpoint, whole or not at all."""
        with atomic_path(path) as aside:
            torch.save(checkpoint, aside)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = None,  # noqa: ARG002
        weights_only: bool | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            ArtifactError: A file that is torn, or would run code.
        """
        try:
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise ArtifactError(
                f"{path} is no checkpoint that can be read: {error}: delete it to restart the fit"
            ) from error
        return content


class WriteCheckpoints(Checkpoint):
    """Writes checkpoints between batches and after every epoch; handles SIGTERM.

    Lightning keeps weights, optimiser, schedule, loops, callbacks and loaders; this callback adds
    the state of the global RNGs of every process, from which dropout draws.

    Args:
        checkpoints: The folder, and how often to write.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self._batches = 0
        self._last = time.monotonic()
        self._terminated = False
        self._generators: dict[str, list[torch.Tensor]] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the RNG state, and handle SIGTERM from now on.

        Raises:
            ArtifactError: The checkpoint is of another number of processes.
        """
        if self._generators:
            processes = len(self._generators["cpu"])
            if processes != trainer.world_size:
                raise ArtifactError(
                    f"{self.checkpoints.folder} holds a fit of {processes} processes, found "
                    f"{trainer.world_size}: resume it with as many processes"
                )
            torch.set_rng_state(self._generators["cpu"][trainer.global_rank])
            if pl_module.device.type == "cuda":
                cuda = self._generators["cuda"][trainer.global_rank]
                torch.cuda.set_rng_state(cuda, pl_module.device)
        self._last = time.monotonic()
        # Lightning's handler communicates with other processes wherever it is called; Lightning
        # restores the earlier handler when the fit ends.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Write a checkpoint if one is due, or stop after SIGTERM."""
        self._batches += 1
        # Gradients that still accumulate are in no checkpoint; after the last batch of an epoch
        # comes the one that has its validation, too.
        if trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self._write(trainer, self._agreed(trainer, self._due()))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Write a checkpoint."""
        self._write(trainer, self._agreed(trainer, _STOP if self._terminated else _WRITE))

    def state_dict(self) -> dict[str, Any]:
        """The number of batches, and the RNG state of every process."""
        states = {"cpu": _gathered(torch.get_rng_state())}
        if torch.cuda.is_available():
            states["cuda"] = _gathered(torch.cuda.get_rng_state())
        return {"batches": self._batches, "generators": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Read what `state_dict` wrote."""
        self._batches = state_dict["batches"]
        self._generators = state_dict["generators"]

    def _on_sigterm(self, *_: object) -> None:
        self._terminated = True

    def _due(self) -> int:
        every, seconds = self.checkpoints.steps, self.checkpoints.seconds
        if self._terminated:
            return _STOP
        if every is not None and self._batches % every == 0:
            return _WRITE
        late = seconds is not None and time.monotonic() - self._last >= seconds
        return _WRITE if late else _NOTHING

    def _agreed(self, trainer: Trainer, wish: int) -> int:
        """The largest wish of all processes: all must write at the same batch."""
        if trainer.world_size == 1:
            return wish
        device = trainer.strategy.root_device
        wishes = torch.tensor(wish, device=device)
        torch.distributed.all_reduce(wishes, torch.distributed.ReduceOp.MAX)
        return int(wishes)

    def _write(self, trainer: Trainer, wish: int) -> None:
        if wish == _NOTHING:
            return
        trainer.save_checkpoint(self.checkpoints.state)
        self._last = time.monotonic()
        if wish == _STOP:
            raise Terminated(
                f"stopped by SIGTERM after {self._batches:,} batches, saved in "
                f"{self.checkpoints.folder}"
            )


def _gathered(state: torch.Tensor) -> list[torch.Tensor]:
    """The tensors of all processes, by rank."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [state]
    states: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, state)
    return states
