"""Where a loader's pass stands, so that another process can go on from there."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["Position"]


class Position:
    """Counts the batches of a pass and remembers how its draws began.

    Args:
        generator: Source of the order and of all else that a loader draws; None where it draws
            nothing.
    """

    def __init__(self, generator: torch.Generator | None) -> None:
        self.generator = generator
        self.batch = 0
        self._start = self._now()
        self._loaded: dict[str, Any] | None = None

    def begin(self, batches: int) -> int:
        """Begin a pass: a new one, or what is left of the one that was loaded.

        Args:
            batches: How many a pass has.

        Returns:
            How many of them to leave out. Where it is above 0, draw the order and then call `skip`.
        """
        loaded = self._loaded
        self.batch = 0
        if loaded is not None:
            # A pass that was over is not begun again: the next one follows.
            over = loaded["batch"] >= batches
            self._set(loaded["now"] if over else loaded["start"])
            self.batch = 0 if over else loaded["batch"]
            if self.batch == 0:
                self._loaded = None
        self._start = self._now()
        return self.batch

    def skip(self) -> None:
        """Leave out what was drawn between the order and the first batch that is left."""
        if self._loaded is not None:
            self._set(self._loaded["now"])
            self._loaded = None

    def state_dict(self) -> dict[str, Any]:
        """The number of batches that were given out, and how the draws stand."""
        if self._loaded is not None:
            return self._loaded
        return {"batch": self.batch, "start": self._start, "now": self._now()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next pass goes on where `state_dict` was called."""
        self._loaded = dict(state)

    def _now(self) -> Tensor | None:
        return None if self.generator is None else self.generator.get_state()

    def _set(self, state: Tensor | None) -> None:
        if self.generator is not None and state is not None:
            self.generator.set_state(state)
