"""Numbers to a mean of 0 and a deviation of 1."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.errors import DataError

__all__ = ["Scale"]

FloatArray = NDArray[np.float64]


class Scale(NamedTuple):
    """Mean and standard deviation of a dense column's training rows; a constant's is 1."""

    mean: float
    deviation: float

    @classmethod
    def fit(cls, column: str, numbers: FloatArray) -> "Scale":
        """Learn the scale of a column; NaN is left out.

        Raises:
            DataError: There is nothing but NaN.
        """
        if np.isnan(numbers).all():
            raise DataError(f"dense column {column!r} has no value at all: take it out")
        return cls.of(float(np.nanmean(numbers)), float(np.nanstd(numbers)))

    @classmethod
    def of(cls, mean: float, deviation: float) -> "Scale":
        """A scale of these moments."""
        # A constant column has a deviation of rounding errors, not of 0.
        constant = deviation <= 1e-12 * max(1.0, abs(mean))
        return cls(mean, 1.0 if constant else deviation)

    def encode(self, numbers: FloatArray) -> NDArray[np.float32]:
        """Scaled numbers; NaN becomes the mean, 0."""
        filled = np.where(np.isnan(numbers), self.mean, numbers)
        return ((filled - self.mean) / self.deviation).astype(np.float32)
