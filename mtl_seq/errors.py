"""Errors of the package. Each is a `ValueError` whose message suggests a fix."""

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
    """Base class of the errors of this package."""


class FunnelError(MtlSeqError):
    """Stages of a funnel do not form one tree."""


class SchemaError(MtlSeqError):
    """A schema is inconsistent, or a log lacks columns that it declares."""


class DataError(MtlSeqError):
    """Rows cannot be trained or evaluated on."""


class CompositionError(MtlSeqError):
    """Parts of a model, or settings of a fit, do not fit together."""


class NotFittedError(MtlSeqError):
    """An estimator was used before it was fitted."""


class ArtifactError(MtlSeqError):
    """A file is missing, incomplete, from a newer version, or of another kind."""


class SelectionWarning(UserWarning):
    """A log identifies the dependence of click and conversion weakly or not at all."""


class SimulationError(MtlSeqError):
    """A simulator's parameter is outside its range, or its target cannot be reached."""


class Terminated(SystemExit):
    """A fit was stopped by SIGTERM and wrote a checkpoint. Uncaught, the exit code is 143.

    Args:
        message: The checkpoint that was written.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = 143


def rows_text(rows: Iterable[object], count: int) -> str:
    """Describe offending rows for an error message.

    Args:
        rows: Index labels of the offending rows, in order; only the first three are read.
        count: The number of offending rows.

    Returns:
        For example ``"12 rows (first: 5, 9, 31)"``.

    >>> rows_text(iter([5, 9, 31, 40]), 12)
    '12 rows (first: 5, 9, 31)'
    """
    first = ", ".join(str(row) for row in islice(rows, 3))
    return f"{count:,} {'row' if count == 1 else 'rows'} (first: {first})"
