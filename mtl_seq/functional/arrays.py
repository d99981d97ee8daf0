"""Conversion of tensors and NumPy arrays to checked float64 tensors."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_seq.errors import DataError, rows_text

__all__ = ["Array", "as_tensor", "float_rows", "integer_ids", "marked_rows", "row_weights"]

Array = Tensor | NDArray[Any]


def as_tensor(values: Array) -> Tensor:
    """Convert to a detached tensor; an array's memory is shared where torch allows it."""
    if isinstance(values, Tensor):
        return values.detach()
    array = np.ascontiguousarray(values)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def float_rows(**columns: Array) -> tuple[Tensor, ...]:
    """Convert columns of one length to float64 tensors.

    Args:
        **columns: ``(N,)`` each, by the names to use in errors.

    Raises:
        DataError: Another shape than the first column's, or NaN.
    """
    checked: list[Tensor] = []
    for name, values in columns.items():
        column = as_tensor(values).double().contiguous()
        if column.ndim != 1 or (checked and column.shape != checked[0].shape):
            required = f"({len(checked[0])},)" if checked else "(N,)"
            raise DataError(
                f"`{name}` must have the shape {required}, found {tuple(column.shape)}: one value "
                "per row"
            )
        missing = torch.isnan(column)
        if missing.any():
            raise DataError(f"`{name}` must hold numbers, found NaN in {marked_rows(missing)}")
        checked.append(column)
    return tuple(checked)


def row_weights(weight: Array | None, like: Tensor) -> Tensor:
    """Check row weights and convert them to float64; ones for None.

    Raises:
        DataError: Another shape than `like`, or a weight that is negative or not finite.
    """
    if weight is None:
        return torch.ones_like(like, dtype=torch.float64)
    column = as_tensor(weight).double()
    if column.shape != like.shape:
        raise DataError(
            f"`weight` must have the shape {tuple(like.shape)}, found {tuple(column.shape)}"
        )
    bad = ~((column >= 0) & torch.isfinite(column))
    if bad.any():
        raise DataError(
            f"`weight` must be finite and at least 0, found {column[bad][0]:g} in "
            f"{marked_rows(bad)}"
        )
    return column


def integer_ids(name: str, ids: Array, like: Tensor) -> Tensor:
    """Ids as a tensor, one integer for each row of `like`."""
    column = as_tensor(ids)
    if column.is_floating_point() or column.shape != like.shape:
        raise DataError(
            f"`{name}` must hold {len(like):,} integer ids, found {column.dtype} of shape "
            f"{tuple(column.shape)}"
        )
    return column


def marked_rows(marked: Tensor) -> str:
    """How many rows are marked, and the first of them."""
    where = torch.nonzero(marked).flatten().tolist()
    return rows_text(where, len(where))
