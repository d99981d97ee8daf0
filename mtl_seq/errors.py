"""Errors of the package. Every one is a `ValueError` and names the way out."""

from collections.abc import Iterable
from itertools import islice

__all__ = [
    "ArtifactError",
    "CompositionError",
    "DataError",
    "FunnelError",
    "MtlSeqError",
    "NotFittedError",
    "SchemaError",
    "SelectionWarning",
    "SimulationError",
    "Terminated",
    "rows_text",
]


class MtlSeqError(ValueError):
    """Base of all errors raised on purpose by this package."""


class FunnelError(MtlSeqError):
    """A funnel whose stages do not form one tree."""


class SchemaError(MtlSeqError):
    """A schema that contradicts itself, or a frame that lacks what it declares."""


class DataError(MtlSeqError):
    """Rows that cannot be trained or evaluated on."""


class CompositionError(MtlSeqError):
    """Parts of a model that do not fit together."""


class NotFittedError(MtlSeqError):
    """Something was used before it was fitted."""


class ArtifactError(MtlSeqError):
    """A file that is missing, torn, from another version, or of another kind."""


class SelectionWarning(UserWarning):
    """A dependence of click and conversion that a log does not, or hardly, identify."""


class SimulationError(MtlSeqError):
    """A parameter outside its range, or a target no scenario of that kind can reach."""


class Terminated(SystemExit):
    """SIGTERM stopped a fit, which has left a checkpoint. Uncaught, it exits with 143.

    Args:
        message: What was saved where.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = 143


def rows_text(rows: Iterable[object], count: int) -> str:
    """Describe offending rows for an error message.

    Args:
        rows: Labels of the offending rows, in order; only the first three are read.
        count: How many rows offend.

    Returns:
        For example ``"12 rows (first: 5, 9, 31)"``.

    >>> rows_text(iter([5, 9, 31, 40]), 12)
    '12 rows (first: 5, 9, 31)'
    """
    first = ", ".join(str(row) for row in islice(rows, 3))
    return f"{count:,} {'row' if count == 1 else 'rows'} (first: {first})"
