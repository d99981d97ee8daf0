"""The contract of losses."""

import copy
from collections.abc import Callable, Mapping, Sequence
from itertools import product

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.funnel import Funnel
from mtl_seq.losses import Loss
from mtl_seq.models import CLICK_CONVERSION
from mtl_seq.nn import compose_conditionals
from mtl_seq.nn.heads import Composition
from mtl_seq.records import FunnelLabels, FunnelPrediction
from mtl_seq.testing.base import require, require_finite
from mtl_seq.testing.draws import draw_labels

__all__ = ["check_loss"]

_ROWS = 64

_Predict = Callable[[Tensor, Mapping[str, Tensor]], FunnelPrediction]
"""``(B, C)`` logits and those of extra towers to a prediction."""


def check_loss(
    loss: Loss,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    compose: Composition = compose_conditionals,
    logits_each: int | None = None,
) -> None:
    """Check a loss: shape, finite terms, and its declared space, detachment and extra towers.

    A loss that samples rows is checked in eval mode, where it must return the expectation.

    Args:
        loss: A loss for the funnel.
        funnel: The stages.
        compose: Turns logits into probabilities: `compose_joints` for a loss on heads of joints.
        logits_each: Number of logits per row; by default one per conditional.
    """

    def predict(logits: Tensor, aux: Mapping[str, Tensor]) -> FunnelPrediction:
        return compose(funnel, logits, aux)

    loss = copy.deepcopy(loss).eval()
    generator = torch.Generator().manual_seed(0)
    towers, stages = logits_each or len(funnel.conditionals), len(funnel.names)
    logits = torch.randn((_ROWS, towers), generator=generator) - 1
    aux = {name: torch.randn(_ROWS, generator=generator) - 1 for name in loss.aux}
    labels = draw_labels(funnel, _ROWS, generator)
    terms = loss(predict(logits, aux), labels)
    require(tuple(terms.shape) == (_ROWS,), f"terms {tuple(terms.shape)} must be {(_ROWS,)}")
    require_finite(terms, "terms")
    _check_space(loss, terms, labels)
    _check_unclicked(loss, predict(logits, aux), labels, terms)
    _check_gradients(loss, predict, logits, aux, labels)
    _check_extremes(loss, predict, towers, stages)
    _check_few(loss, predict, logits, aux, labels)
    half = loss(predict(logits.bfloat16(), aux), labels)
    require(half.dtype == torch.float32, f"bfloat16 logits must give float32, found {half.dtype}")
    none = torch.zeros(0)
    empty = FunnelLabels(torch.zeros((0, stages)), potential=none)
    terms = loss(predict(torch.zeros((0, towers)), dict.fromkeys(loss.aux, none)), empty)
    require(tuple(terms.shape) == (0,), "a batch without rows must give no terms")
    if loss.needs_potential:
        _check_needs_potential(loss, predict(logits, aux), labels)


def _check_space(loss: Loss, terms: Tensor, labels: FunnelLabels) -> None:
    off = terms[labels.click == 0]
    if loss.space == "clicks":
        require(bool((off == 0).all()), "a loss in click space must be 0 off the clicks")
    else:
        require(bool((off != 0).any()), "a loss over all impressions must have terms off clicks")


def _check_unclicked(
    loss: Loss, prediction: FunnelPrediction, labels: FunnelLabels, terms: Tensor
) -> None:
    stages = labels.stages.clone()
    stages[labels.click == 0, 1:] = 1
    changed = loss(prediction, labels._replace(stages=stages))
    require(
        loss.reads_unclicked or torch.equal(changed, terms),
        "`reads_unclicked` is False, but labels of rows that were not clicked matter",
    )


def _check_gradients(
    loss: Loss, predict: _Predict, logits: Tensor, aux: dict[str, Tensor], labels: FunnelLabels
) -> None:
    columns = [column.clone().requires_grad_() for column in logits.unbind(1)]
    extra = {name: tensor.clone().requires_grad_() for name, tensor in aux.items()}
    terms = loss(predict(torch.stack(columns, dim=1), extra), labels)
    gradients = _finite_gradients(terms, [*columns, *extra.values()], "gradients")
    pulled = gradients[0] is not None and bool((gradients[0] != 0).any())
    require(
        pulled != loss.detaches_pctr,
        f"`detaches_pctr` is {loss.detaches_pctr}, but the click tower "
        f"{'gets a' if pulled else 'gets no'} gradient",
    )
    require(
        any(g is not None and bool((g != 0).any()) for g in gradients),
        "the loss must train something",
    )


def _check_few(
    loss: Loss, predict: _Predict, logits: Tensor, aux: dict[str, Tensor], labels: FunnelLabels
) -> None:
    """Check batches with rows of one kind only, and single rows."""
    clicked, converted = labels.click > 0, labels.conversion > 0
    kinds = {
        "without clicks": ~clicked,
        "without conversions": ~converted,
        "of clicks alone": clicked,
        "of conversions alone": converted,
    }
    alone = torch.eye(len(logits), dtype=torch.bool)[:8]
    for what, rows in (*kinds.items(), *((f"of row {i}", row) for i, row in enumerate(alone))):
        few = logits[rows].requires_grad_()
        extra = {name: tensor[rows].requires_grad_() for name, tensor in aux.items()}
        of_rows = FunnelLabels(
            labels.stages[rows],
            potential=None if labels.potential is None else labels.potential[rows],
        )
        terms = loss(predict(few, extra), of_rows)
        require_finite(terms, f"terms of a batch {what}")
        require(terms.requires_grad, f"a batch {what} must keep the graph connected")
        _finite_gradients(terms, [few, *extra.values()], f"gradients of a batch {what}")


def _check_extremes(loss: Loss, predict: _Predict, towers: int, stages: int) -> None:
    grid = (-200.0, -30.0, -12.0, 0.0, 12.0, 30.0, 200.0)
    # Extra towers take every value of the grid, the same for all of them.
    places = torch.tensor(list(product(grid, repeat=towers + 1)))
    logits = places[:, :towers].clone().requires_grad_()
    rows = len(logits)
    for reached in range(stages + 1):
        label = [float(index < reached) for index in range(stages)]
        labels = FunnelLabels(
            torch.tensor([label]).expand(rows, stages), potential=torch.full((rows,), label[-1])
        )
        aux = {name: places[:, towers].clone().requires_grad_() for name in loss.aux}
        terms = loss(predict(logits, aux), labels)
        where = f"at extreme logits, labels {label}"
        require_finite(terms, f"terms {where}")
        _finite_gradients(terms, [logits, *aux.values()], f"gradients {where}")


def _finite_gradients(terms: Tensor, inputs: Sequence[Tensor], what: str) -> list[Tensor | None]:
    gradients: list[Tensor | None] = [*torch.autograd.grad(terms.sum(), inputs, allow_unused=True)]
    for gradient in gradients:
        require(gradient is None or torch.isfinite(gradient).all(), f"{what} must be finite")
    return gradients


def _check_needs_potential(loss: Loss, prediction: FunnelPrediction, labels: FunnelLabels) -> None:
    try:
        loss(prediction, labels._replace(potential=None))
    except DataError:
        return
    require(False, "`needs_potential` is set, but labels without potential outcomes are accepted")
