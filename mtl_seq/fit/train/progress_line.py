"""Progress line of a training run."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

from mtl_seq.fit.train.validation_metrics import SPACES

__all__ = ["ProgressLine"]

_WIDTH = 120


class ProgressLine(Callback):
    """One line per model: epoch, bar, loss, and the checkpoint rule so far.

    Args:
        title: Name of the model.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._rule = "-"
        self._metrics = Text("", style="dim")
        self._live: Live | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Draw the empty bar."""
        self._progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=24),
            TextColumn("epoch {task.fields[epoch]:>5}  loss {task.fields[loss]}  "),
            TextColumn("checkpoint rule {task.fields[rule]}"),
            TimeRemainingColumn(),
        )
        self._console = Console(stderr=True)
        if not self._console.is_terminal:
            self._console.width = _WIDTH
        self._live = Live(Group(self._progress, self._metrics), console=self._console)
        self._live.start()
        total = int(trainer.num_training_batches) * (trainer.max_epochs or 1)
        self._task = self._progress.add_task(
            self.title, total=total, epoch="1", loss="-", rule=self._rule
        )

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Advance the bar; read the loss rarely, since that waits for the device."""
        if self._progress is None:
            return
        fields: dict[str, Any] = {}
        if batch_idx % 20 == 0 and isinstance(outputs, dict):
            loss = outputs["loss"]
            assert isinstance(loss, torch.Tensor)
            fields["loss"] = f"{loss.detach().item():.4f}"
        epoch = f"{trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._progress.update(self._task, advance=1, epoch=epoch, **fields)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Show the checkpoint rule."""
        if self._progress is not None:
            value = float(trainer.callback_metrics["valid/rule"])
            self._progress.update(self._task, rule=f"{value:.4f}")
            self._metrics.plain = _metrics_line(trainer.callback_metrics)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Fill the bar, since training may have stopped early."""
        self._close(complete=True)

    def on_exception(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        exception: BaseException,  # noqa: ARG002
    ) -> None:
        """Release the terminal."""
        self._close(complete=False)

    def _close(self, *, complete: bool) -> None:
        if self._progress is not None:
            if complete:
                total = self._progress.tasks[0].total
                self._progress.update(self._task, completed=total)
            self._progress = None
        if self._live is not None:
            self._live.stop()
            self._live = None
            if not self._console.is_terminal:
                self._console.line()  # rich ends the line itself on a terminal only


def _metrics_line(logged: Mapping[str, Tensor]) -> str:
    """The logged metrics of the three probabilities in one line; empty for a ranker."""
    names = {"pctr": "pCTR", "pcvr": "pCVR", "pctcvr": "pCTCVR"}
    parts = [
        f"{names[quantity]} {logged[f'valid/{quantity}/log_loss']:.4f}, PCOC "
        f"{logged[f'valid/{quantity}/pcoc']:.2f} ({space})"
        for quantity, space in SPACES.items()
        if f"valid/{quantity}/pcoc" in logged
    ]
    return "validation log loss: " + "   ".join(parts) if parts else ""
