"""The simulator protocol."""

from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from mtl_seq.records import FunnelTruth
from mtl_seq.schema import Schema

__all__ = ["Simulator"]


@runtime_checkable
class Simulator(Protocol):
    """A data-generating process with known truth."""

    @property
    def schema(self) -> Schema:
        """The roles of the log's columns."""

    def sample(self, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, FunnelTruth]:
        """Draw n impressions.

        Args:
            n: How many, at least 1.
            rng: The only source of randomness; it advances, so a second call gives other rows.

        Returns:
            The log, as a real system would have written it, and the truth of the same rows.

        Raises:
            SimulationError: n is out of range.
        """
