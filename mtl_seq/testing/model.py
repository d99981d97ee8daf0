"""The contract of named models."""

import copy
import math

import torch
from torch import Tensor

from mtl_seq.funnel import Funnel
from mtl_seq.models import CLICK_CONVERSION, Builder, FunnelModel
from mtl_seq.nn import Head
from mtl_seq.records import FunnelLabels, FunnelPrediction
from mtl_seq.schema import FeatureSpec
from mtl_seq.testing.base import (
    accepts,
    close,
    keeps_global_random_state,
    perturbed,
    require,
    require_finite,
    require_gradients,
)
from mtl_seq.testing.draws import draw_labels

__all__ = ["check_model", "draw_features", "spec_for"]

_ROWS = 48


def check_model(build: Builder, *, funnel: Funnel = CLICK_CONVERSION) -> None:
    """Check a model: seeds, probabilities, hidden features, losses, gradients, dtypes, and state.

    Args:
        build: A builder, ``build(spec, *, funnel, seed) -> FunnelModel``.
        funnel: The stages to build it for, at least two.
    """
    spec = spec_for(funnel)
    with keeps_global_random_state("the builder"):
        model = build(spec, funnel=funnel, seed=3)
    require(isinstance(model, FunnelModel), "a builder must return a FunnelModel")
    generator = torch.Generator().manual_seed(0)
    features = draw_features(_ROWS, generator)
    labels = draw_labels(funnel, _ROWS, generator)
    # Dropout would make two forward calls with the same weights differ.
    model.eval()
    same, other = (build(spec, funnel=funnel, seed=seed).eval()(features).logits for seed in (3, 4))
    require(torch.equal(same, model(features).logits), "one seed must give one set of weights")
    require(not torch.equal(other, same), "another seed must give other weights")
    perturbed(model)
    prediction = model(features)
    _check_probabilities(prediction, funnel, _head(model))
    losses = model.objective(prediction, labels)
    for name, loss in losses.items():
        require(loss.dim() == 0, f"loss {name!r} must be reduced to a scalar")
        require(math.isfinite(loss.item()), f"loss {name!r} must be finite")
    total = model.objective.total(prediction, labels)
    require(close(total, torch.stack(list(losses.values())).sum(), 1e-6), "the total is the sum")
    require_gradients(model, total, "model")
    _check_hidden(model, features)
    _check_rows(model, features, labels)
    _check_dtypes(model, features, labels)
    restored = build(spec, funnel=funnel, seed=4).eval()
    restored.load_state_dict(model.state_dict())
    require(
        torch.equal(restored(features).pctcvr, model(features).pctcvr),
        "a restored state must give the same prediction",
    )


def spec_for(funnel: Funnel) -> FeatureSpec:
    """Features of every kind: only the click sees `position`, and it does not see `mood`."""
    hidden = {name: ["position"] for name in funnel.names[1:]}
    return FeatureSpec(
        ids={"user_id": 11, "item_id": 7, "position": 5},
        bags={"tags": 6},
        dense=["price", "mood"],
        hidden_from={funnel.first: ["mood"], **hidden},
        embedding=4,
    )


def draw_features(rows: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw features of `spec_for`."""

    def ids(size: int, shape: tuple[int, ...] = (rows,)) -> Tensor:
        return torch.randint(size, shape, generator=generator)

    features = {"user_id": ids(11), "item_id": ids(7), "position": ids(5)}
    # Every row of the tables occurs, so that none lacks a gradient by chance.
    features["tags"] = torch.cat((ids(6, (rows, 2)), torch.full((rows, 1), -1)), dim=1)
    return features | {name: torch.randn(rows, generator=generator) for name in ("price", "mood")}


def _head(model: FunnelModel) -> Head:
    head = model.network.head
    assert isinstance(head, Head)
    return head


def _check_probabilities(prediction: FunnelPrediction, funnel: Funnel, head: Head) -> None:
    require(prediction.stages == funnel.names, f"stages {prediction.stages} must be {funnel.names}")
    for name in ("pctr", "pcvr", "pctcvr"):
        value = getattr(prediction, name)
        require(tuple(value.shape) == (_ROWS,), f"{name} must be {(_ROWS,)}")
        require(bool(((value >= 0) & (value <= 1)).all()), f"{name} must lie in [0, 1]")
    require(bool((prediction.pctcvr <= prediction.pcvr).all()), "pCTCVR must not exceed pCVR")
    ordered = prediction.pctcvr <= prediction.pctr
    require(bool(ordered.all()) or not head.conditional, "pCTCVR must not exceed pCTR")
    # No click, a click without conversion, both: each from another field of the prediction.
    missed = prediction.pctr * torch.sigmoid(-prediction.pcvr_logit)
    parts = (
        torch.sigmoid(-prediction.pctr_logit),
        missed if head.independent else prediction.pctr - prediction.pctcvr,
        torch.sigmoid(prediction.joint_logit[funnel.last]),
    )
    mass = torch.stack(parts).sum(0)[ordered]
    require(close(mass, torch.ones_like(mass), 1e-6), "the mass along the funnel must add up to 1")
    if head.conditional:
        for child, parent in funnel.parents().items():
            below = prediction.log_joint[child] <= prediction.log_joint[parent]
            require(bool(below.all()), f"{child!r} must not be more probable than {parent!r}")


def _check_hidden(model: FunnelModel, features: dict[str, Tensor]) -> None:
    before = model(features)
    moved = model({**features, "position": (features["position"] + 1) % 5})
    require(
        torch.equal(moved.logits[:, 1:], before.logits[:, 1:]),
        "later towers' logits must not change with a feature hidden from every later stage",
    )
    # Where logits are joints, pCVR is a ratio that contains pCTR.
    require(
        torch.equal(moved.pcvr_logit, before.pcvr_logit) or not _head(model).conditional,
        "pCVR must not change with a feature hidden from every later stage",
    )
    require(
        not torch.equal(moved.pctr_logit, before.pctr_logit),
        "pCTR must change with a feature that only the click tower sees",
    )
    moved = model({**features, "mood": features["mood"] + 1})
    # In dependent heads pCTR also depends on the conversion's logit.
    seen = (m.pctr_logit if _head(model).independent else m.logits[:, 0] for m in (moved, before))
    require(torch.equal(*seen), "pCTR must not change with a feature hidden from the click")


def _check_rows(model: FunnelModel, features: dict[str, Tensor], labels: FunnelLabels) -> None:
    whole = model(features)
    for rows in (0, 1, 5):
        few = {name: tensor[:rows] for name, tensor in features.items()}
        with accepts(f"a batch of {rows} rows"):
            result = model(few)
            potential = None if labels.potential is None else labels.potential[:rows]
            few_labels = FunnelLabels(labels.stages[:rows], potential=potential)
            loss = model.objective.total(result, few_labels)
        require(close(result.logits, whole.logits[:rows], 1e-5), "a row must not depend on others")
        require(close(result.pcvr, whole.pcvr[:rows], 1e-5), "pCVR must not depend on other rows")
        require(math.isfinite(loss.item()), f"the loss of {rows} rows must be finite")
    order = torch.randperm(_ROWS, generator=torch.Generator().manual_seed(3))
    result = model({name: tensor[order] for name, tensor in features.items()})
    permuted = close(result.logits, whole.logits[order], 1e-5)
    require(permuted, "permuted rows must give permuted predictions")


def _check_dtypes(model: FunnelModel, features: dict[str, Tensor], labels: FunnelLabels) -> None:
    whole = model(features)
    wide = {n: t.double() if t.is_floating_point() else t for n, t in features.items()}
    with accepts("float64"):
        double = copy.deepcopy(model).double()(wide)
    require(double.pctcvr.dtype == torch.float64, "float64 must stay float64")
    require(close(double.logits, whole.logits.double(), 1e-4), "float64 must agree with float32")
    with accepts("bfloat16 autocast"), torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(features)
        total = model.objective.total(half, labels)
    require(half.pctcvr.dtype == torch.float32, "bfloat16 logits must be composed in float32")
    for name, value in (("pcvr_logit", half.pcvr_logit), ("pctcvr", half.pctcvr), ("loss", total)):
        require_finite(value, f"bfloat16 autocast: {name}")
