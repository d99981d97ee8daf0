"""What every named model must keep."""

import math

import torch
from torch import Tensor

from mtl_seq.funnel import Funnel
from mtl_seq.models import Builder, FunnelModel
from mtl_seq.records import FunnelLabels
from mtl_seq.schema import FeatureSpec
from mtl_seq.testing.base import (
    close,
    keeps_global_random_state,
    perturbed,
    require,
    require_gradients,
)

__all__ = ["check_model"]

_FUNNEL = Funnel.chain("click", "conversion")
_SPEC = FeatureSpec(
    ids={"user_id": 11, "item_id": 7, "position": 5},
    bags={"tags": 6},
    dense=["price", "mood"],
    hidden_from={"conversion": ["position"], "click": ["mood"]},
    embedding=4,
)
_ROWS = 48


def check_model(build: Builder) -> None:
    """Seeds, probabilities, hidden features, losses, gradients of every part, and a saved state.

    Args:
        build: A builder, ``build(spec, *, funnel, seed) -> FunnelModel``.

    Raises:
        ContractError: It breaks a promise.
    """
    with keeps_global_random_state("the builder"):
        model = build(_SPEC, funnel=_FUNNEL, seed=3)
    require(isinstance(model, FunnelModel), "a builder must return a FunnelModel")
    features, labels = _rows()
    _check_seed(build, model, features)
    perturbed(model)
    prediction = model(features)
    for name in ("pctr", "pcvr", "pctcvr"):
        value = getattr(prediction, name)
        require(tuple(value.shape) == (_ROWS,), f"{name} must be {(_ROWS,)}")
        require(bool(((value >= 0) & (value <= 1)).all()), f"{name} must lie in [0, 1]")
    require(bool((prediction.pctcvr <= prediction.pcvr).all()), "pCTCVR must not exceed pCVR")
    require(bool((prediction.pctcvr <= prediction.pctr).all()), "pCTCVR must not exceed pCTR")
    losses = model.objective(prediction, labels)
    for name, loss in losses.items():
        require(loss.dim() == 0, f"risk {name!r} must be reduced to a scalar")
        require(math.isfinite(loss.item()), f"risk {name!r} must be finite")
    total = model.objective.total(prediction, labels)
    require(close(total, torch.stack(list(losses.values())).sum(), 1e-6), "the total is the sum")
    require_gradients(model, total, "model")
    _check_hidden(model, features)
    _check_rows(model, features)
    twin = build(_SPEC, funnel=_FUNNEL, seed=4)
    twin.load_state_dict(model.state_dict())
    require(
        torch.equal(twin(features).pctcvr, model(features).pctcvr),
        "a restored state must give the same prediction",
    )


def _rows() -> tuple[dict[str, Tensor], FunnelLabels]:
    generator = torch.Generator().manual_seed(0)

    def ids(size: int, shape: tuple[int, ...] = (_ROWS,)) -> Tensor:
        return torch.randint(size, shape, generator=generator)

    features = {"user_id": ids(11), "item_id": ids(7), "position": ids(5)}
    # Every row of the tables is met, so that none is without a gradient by chance.
    features["tags"] = torch.cat((ids(6, (_ROWS, 2)), torch.full((_ROWS, 1), -1)), dim=1)
    features |= {name: torch.randn(_ROWS, generator=generator) for name in ("price", "mood")}
    click = (torch.rand(_ROWS, generator=generator) < 0.5).float()
    potential = (torch.rand(_ROWS, generator=generator) < 0.5).float()
    return features, FunnelLabels.of(click=click, conversion=click * potential, potential=potential)


def _check_seed(build: Builder, model: FunnelModel, features: dict[str, Tensor]) -> None:
    same = build(_SPEC, funnel=_FUNNEL, seed=3)
    require(
        torch.equal(same(features).logits, model(features).logits),
        "one seed must give one set of weights",
    )
    other = build(_SPEC, funnel=_FUNNEL, seed=4)
    require(
        not torch.equal(other(features).logits, model(features).logits),
        "another seed must give other weights",
    )


def _check_hidden(model: FunnelModel, features: dict[str, Tensor]) -> None:
    before = model(features)
    moved = model({**features, "position": (features["position"] + 1) % 5})
    require(
        torch.equal(moved.pcvr_logit, before.pcvr_logit),
        "pCVR must not change with a feature hidden from the conversion",
    )
    require(
        not torch.equal(moved.pctr_logit, before.pctr_logit),
        "pCTR must change with a feature that only the click tower sees",
    )
    moved = model({**features, "mood": features["mood"] + 1})
    require(
        torch.equal(moved.pctr_logit, before.pctr_logit),
        "pCTR must not change with a feature hidden from the click",
    )


def _check_rows(model: FunnelModel, features: dict[str, Tensor]) -> None:
    few = {name: tensor[:5] for name, tensor in features.items()}
    require(
        close(model(few).logits, model(features).logits[:5], 1e-5),
        "a row's prediction must not depend on the other rows",
    )
