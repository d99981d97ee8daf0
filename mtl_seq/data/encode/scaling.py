"""Standardisation of dense columns."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.errors import DataError

__all__ = ["Scale"]

FloatArray = NDArray[np.float64]


class Scale(NamedTuple):
    """Mean and standard deviation of a dense column's training rows; 1 for a constant column."""

    mean: float
    deviation: float

    @classmethod
    def fit(cls, column: str, numbers: FloatArray) -> "Scale":
        """Fit the scale of a column; NaN is ignored.

        Raises:
            DataError: All values are NaN.
        """
        if np.isnan(numbers).all():
            raise DataError(f"dense column {column!r} has no value at all: leave it out")
        return cls.from_moments(float(np.nanmean(numbers)), float(np.nanstd(numbers)))

    @classmethod
    def from_moments(cls, mean: float, deviation: float) -> "Scale":
        """The scale of these moments."""
        # The deviation of a constant column is a rounding error, not exactly 0.
        constant = deviation <= 1e-12 * max(1.0, abs(mean))
        return cls(mean, 1.0 if constant else deviation)

    def encode(self, numbers: FloatArray) -> NDArray[np.float32]:
        """Scaled numbers; NaN becomes the mean, 0."""
        filled = np.where(np.isnan(numbers), self.mean, numbers)
        return ((filled - self.mean) / self.deviation).astype(np.float32)
