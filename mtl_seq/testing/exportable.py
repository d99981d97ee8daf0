"""The contract of exportable models: exported and compiled networks agree with eager ones."""

import torch

from mtl_seq.funnel import Funnel
from mtl_seq.models import CLICK_CONVERSION, Builder
from mtl_seq.records import FunnelPrediction
from mtl_seq.testing.base import close, in_graphs, perturbed, require
from mtl_seq.testing.model import draw_features, spec_for

__all__ = ["check_exportable"]

_ROWS, _FEWER = 48, 5


@torch.no_grad()
def check_exportable(build: Builder, *, funnel: Funnel = CLICK_CONVERSION) -> None:
    """Check `torch.export` for any number of rows and `torch.compile` in one graph.

    It takes seconds, so it is separate from `check_model`.

    Args:
        build: A builder, ``build(spec, *, funnel, seed) -> FunnelModel``.
        funnel: The stages to build it for.

    Raises:
        ContractError: The network cannot be exported or compiled, or the result differs.
    """
    model = build(spec_for(funnel), funnel=funnel, seed=3)
    network = perturbed(model.network).eval()
    features = draw_features(_ROWS, torch.Generator().manual_seed(0))
    few = {name: tensor[:_FEWER] for name, tensor in features.items()}
    rows = {name: {0: torch.export.Dim("rows")} for name in features}
    exported, exported_few, compiled = in_graphs(network, features, few, rows)
    _require_same(exported, network(features), "exported")
    _require_same(exported_few, network(few), "exported, fewer rows")
    _require_same(compiled, network(features), "compiled")


def _require_same(actual: FunnelPrediction, expected: FunnelPrediction, what: str) -> None:
    for name in ("logits", "log_pcvr", "pcvr_logit"):
        agreed = close(getattr(actual, name), getattr(expected, name), 1e-5)
        require(agreed, f"{what}: `{name}` must be the same")
    for name in ("log_joint", "joint_logit", "aux"):
        result, reference = getattr(actual, name), getattr(expected, name)
        require(list(result) == list(reference), f"{what}: `{name}` must have the same names")
        agreed = all(close(result[key], reference[key], 1e-5) for key in reference)
        require(agreed, f"{what}: `{name}` must be the same")
