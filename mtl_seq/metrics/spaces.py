"""The space a metric is on, and the rows of a batch that are in it."""

from typing import NamedTuple, get_args

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional import Array, as_tensor, row_weights
from mtl_seq.records import Space

__all__ = ["Rows", "check_space", "empty_reason", "one_class_reason", "probability", "rows_in"]


class Rows(NamedTuple):
    """Rows of a batch that are in the space and have a weight above 0.

    Attributes:
        prediction: ``(n,)`` float64 in [0, 1].
        target: ``(n,)`` float64 in [0, 1].
        weight: ``(n,)`` float64.
        others: ``(n,)`` further columns, as they came.
    """

    prediction: Tensor
    target: Tensor
    weight: Tensor
    others: tuple[Tensor, ...]


def check_space(space: str) -> None:
    """Check the name of a space."""
    if space not in get_args(Space):
        raise DataError(f"`space` must be one of {get_args(Space)}, found {space!r}")


def rows_in(
    space: Space,
    prediction: Array,
    target: Array,
    *,
    click: Array | None,
    weight: Array | None,
    **others: Array,
) -> Rows:
    """Check and select the rows of a space; other rows may hold anything, NaN included.

    Raises:
        DataError: Columns of different lengths, no clicks where the space needs them, or values
            outside their range in the rows of the space.
    """
    columns = {"prediction": as_tensor(prediction), "target": as_tensor(target)}
    columns |= {name: as_tensor(column) for name, column in others.items()}
    kept = None
    if weight is not None:
        columns["weight"] = as_tensor(weight)
    if space != "all":
        if click is None:
            raise DataError(f"`click` must be given where the space is {space!r}: 1 on clicks")
        columns["click"] = as_tensor(click)
    shape = columns["prediction"].shape
    for name, column in columns.items():
        if column.ndim != 1 or column.shape != shape:
            raise DataError(
                f"`{name}` must hold one value per row, shape ({shape[0] if shape else 'N'},), "
                f"found {tuple(column.shape)}"
            )
    if space != "all":
        clicked = columns.pop("click") > 0
        kept = clicked if space == "clicks" else ~clicked
    if weight is not None:
        row_weights(columns["weight"], columns["prediction"])
        heavy = columns["weight"] > 0
        kept = heavy if kept is None else kept & heavy
    if kept is not None:
        columns = {name: column[kept] for name, column in columns.items()}
    predicted, targets = columns.pop("prediction"), columns.pop("target")
    probability("prediction", predicted)
    probability("target", targets)
    mass = columns.pop("weight", None)
    return Rows(
        predicted.double(),
        targets.double(),
        torch.ones_like(predicted, dtype=torch.float64) if mass is None else mass.double(),
        tuple(columns.values()),
    )


def probability(name: str, column: Tensor) -> None:
    """Check that values lie in [0, 1]; the error says so where they look like logits."""
    within = (column >= 0) & (column <= 1)  # False for NaN
    if bool(within.all()):
        return
    missing = int(torch.isnan(column).sum()) if column.is_floating_point() else 0
    if missing:
        raise DataError(f"`{name}` must lie in [0, 1], found NaN in {missing:,} rows of the space")
    outside = int((~within).sum())
    hint = (
        "they look like logits: pass their sigmoid" if 5 * outside > len(column) else "correct them"
    )
    raise DataError(
        f"`{name}` must lie in [0, 1], found {float(column.min()):.4g} to "
        f"{float(column.max()):.4g}, outside in {outside:,} rows of the space: {hint}"
    )


def empty_reason(space: Space) -> str:
    """The reason of a metric that is undefined for lack of rows."""
    return f"no rows in space {space!r}"


def one_class_reason(space: Space, positive: Tensor, negative: Tensor) -> str | None:
    """The reason of a metric that needs both classes; None where both have mass."""
    if float(positive) + float(negative) <= 0:
        return empty_reason(space)
    if float(positive) <= 0:
        return f"no positive in space {space!r}"
    if float(negative) <= 0:
        return f"no negative in space {space!r}"
    return None
