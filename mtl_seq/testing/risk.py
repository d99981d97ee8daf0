"""What every risk must keep, and that it is what it says of itself."""

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.funnel import Funnel
from mtl_seq.nn import compose_conditionals
from mtl_seq.records import FunnelLabels, FunnelPrediction
from mtl_seq.risks import Risk
from mtl_seq.testing.base import require

__all__ = ["check_risk"]

_FUNNEL = Funnel.chain("click", "conversion")
_ROWS = 64


def check_risk(risk: Risk) -> None:
    """Shape, space, detachment, extra towers, and finite terms, against the risk's own statements.

    Args:
        risk: A risk for the funnel click -> conversion.

    Raises:
        ContractError: It breaks a promise.
    """
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((_ROWS, 2), generator=generator) - 1
    aux = {name: torch.randn(_ROWS, generator=generator) - 1 for name in risk.aux}
    labels = _labels(generator)
    terms = risk(_prediction(logits, aux), labels)
    require(tuple(terms.shape) == (_ROWS,), f"terms {tuple(terms.shape)} must be {(_ROWS,)}")
    require(bool(torch.isfinite(terms).all()), "terms must be finite")
    _check_space(risk, terms, labels)
    _check_unclicked(risk, logits, aux, labels, terms)
    _check_gradients(risk, logits, aux, labels)
    _check_extremes(risk)
    half = risk(_prediction(logits.bfloat16(), aux), labels)
    require(half.dtype == torch.float32, f"bfloat16 logits must give float32, found {half.dtype}")
    none = torch.zeros(0)
    empty = FunnelLabels(torch.zeros((0, 2)), potential=none)
    found = risk(_prediction(torch.zeros((0, 2)), dict.fromkeys(risk.aux, none)), empty)
    require(tuple(found.shape) == (0,), "a batch without rows must give no terms")
    if risk.needs_potential:
        _check_needs_potential(risk, logits, aux, labels)


def _labels(generator: torch.Generator) -> FunnelLabels:
    click = (torch.rand(_ROWS, generator=generator) < 0.5).float()
    potential = (torch.rand(_ROWS, generator=generator) < 0.4).float()
    return FunnelLabels.of(click=click, conversion=click * potential, potential=potential)


def _prediction(logits: Tensor, aux: dict[str, Tensor]) -> FunnelPrediction:
    return compose_conditionals(_FUNNEL, logits, aux)


def _check_space(risk: Risk, terms: Tensor, labels: FunnelLabels) -> None:
    off = terms[labels.click == 0]
    if risk.space == "clicks":
        require(bool((off == 0).all()), "a risk in click space must be 0 off the clicks")
    else:
        require(bool((off != 0).any()), "a risk over all impressions must have terms off clicks")


def _check_unclicked(
    risk: Risk, logits: Tensor, aux: dict[str, Tensor], labels: FunnelLabels, terms: Tensor
) -> None:
    stages = labels.stages.clone()
    stages[:, 1] = torch.where(labels.click > 0, stages[:, 1], torch.ones(_ROWS))
    changed = risk(_prediction(logits, aux), labels._replace(stages=stages))
    require(
        risk.reads_unclicked or torch.equal(changed, terms),
        "`reads_unclicked` says False, but labels of rows that were not clicked matter",
    )


def _check_gradients(
    risk: Risk, logits: Tensor, aux: dict[str, Tensor], labels: FunnelLabels
) -> None:
    click = logits[:, 0].clone().requires_grad_()
    conversion = logits[:, 1].clone().requires_grad_()
    extra = {name: tensor.clone().requires_grad_() for name, tensor in aux.items()}
    terms = risk(_prediction(torch.stack((click, conversion), dim=1), extra), labels)
    gradients = torch.autograd.grad(
        terms.sum(), [click, conversion, *extra.values()], allow_unused=True
    )
    pulled = gradients[0] is not None and bool((gradients[0] != 0).any())
    require(
        pulled != risk.detaches_pctr,
        f"`detaches_pctr` says {risk.detaches_pctr}, but the click tower "
        f"{'gets a' if pulled else 'gets no'} gradient",
    )
    require(
        any(g is not None and bool((g != 0).any()) for g in gradients),
        "the risk must train something",
    )
    for g in gradients:
        require(g is None or bool(torch.isfinite(g).all()), "gradients must be finite")


def _check_extremes(risk: Risk) -> None:
    grid = torch.tensor([-30.0, -12.0, 0.0, 12.0, 30.0])
    a, b = torch.meshgrid(grid, grid, indexing="ij")
    logits = torch.stack((a.flatten(), b.flatten()), dim=1).requires_grad_()
    rows = len(logits)
    for stages in ([0.0, 0.0], [1.0, 0.0], [1.0, 1.0]):
        given = FunnelLabels(
            torch.tensor([stages]).expand(rows, 2), potential=torch.full((rows,), stages[1])
        )
        aux = {name: torch.zeros(rows) for name in risk.aux}
        terms = risk(_prediction(logits, aux), given)
        require(bool(torch.isfinite(terms).all()), f"terms at logits of 30, labels {stages}")
        if terms.requires_grad:
            (found,) = torch.autograd.grad(terms.sum(), logits)
            require(bool(torch.isfinite(found).all()), f"gradients at logits of 30, {stages}")


def _check_needs_potential(
    risk: Risk, logits: Tensor, aux: dict[str, Tensor], labels: FunnelLabels
) -> None:
    try:
        risk(_prediction(logits, aux), labels._replace(potential=None))
    except DataError:
        return
    require(False, "`needs_potential` is set, but labels without potential outcomes are accepted")
