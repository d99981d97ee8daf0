"""Position of a loader within an epoch, so that another process can resume there."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["Position", "Resumable"]


class Position:
    """The number of batches given out in an epoch, and the state of the generator at its start.

    Args:
        generator: Generator of all draws of a loader; None where it draws nothing.
    """

    def __init__(self, generator: torch.Generator | None) -> None:
        self.generator = generator
        self.batch = 0
        self._start = self._now()
        self._loaded: dict[str, Any] | None = None

    def begin(self, batches: int) -> int:
        """Begin an epoch, or the rest of the one whose state was loaded.

        Args:
            batches: Batches of an epoch.

        Returns:
            Batches to skip. Where it is above 0, draw the order and then call `skip`.
        """
        loaded = self._loaded
        self.batch = 0
        if loaded is not None:
            # An epoch that was complete is followed by the next one.
            over = loaded["batch"] >= batches
            self._set(loaded["now"] if over else loaded["start"])
            self.batch = 0 if over else loaded["batch"]
            if self.batch == 0:
                self._loaded = None
        self._start = self._now()
        return self.batch

    def skip(self) -> None:
        """Skip the draws between the order and the first remaining batch."""
        if self._loaded is not None:
            self._set(self._loaded["now"])
            self._loaded = None

    def state_dict(self) -> dict[str, Any]:
        """The number of batches given out, and the states of the generator."""
        if self._loaded is not None:
            return self._loaded
        return {"batch": self.batch, "start": self._start, "now": self._now()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume in the next epoch where `state_dict` was called."""
        self._loaded = dict(state)

    def _now(self) -> Tensor | None:
        return None if self.generator is None else self.generator.get_state()

    def _set(self, state: Tensor | None) -> None:
        if self.generator is not None and state is not None:
            self.generator.set_state(state)


class Resumable:
    """Base of loaders whose `Position` is their state."""

    _position: Position

    def state_dict(self) -> dict[str, Any]:
        """The position within the epoch; another loader of the same rows can resume there."""
        return self._position.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume in the next epoch where `state_dict` was called."""
        self._position.load_state_dict(state)
