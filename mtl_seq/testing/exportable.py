"""The contract of exportable models: exported and compiled networks agree with eager ones."""

import torch

from mtl_seq.funnel import Funnel
from mtl_seq.models import Builder
from mtl_seq.records import FunnelPrediction
from mtl_seq.testing.base import accepts, close, perturbed, require
from mtl_seq.testing.model import draw_features, spec_for

__all__ = ["check_exportable"]

_FUNNEL = Funnel.chain("click", "conversion")
_ROWS, _FEWER = 48, 5


@torch.no_grad()
def check_exportable(build: Builder, *, funnel: Funnel = _FUNNEL) -> None:
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
    rows = torch.export.Dim("rows")
    with accepts("torch.export with any number of rows"):
        program = torch.export.export(
            network, (features,), dynamic_shapes=({name: {0: rows} for name in features},)
        ).module()
        exported = (program(features), program(few))
    _require_same(exported[0], network(features), "exported")
    _require_same(exported[1], network(few), "exported, fewer rows")
    # Earlier compilations count against the limit of recompilations.
    torch.compiler.reset()
    with accepts("torch.compile in one graph"):
        compiled = torch.compile(network, fullgraph=True, backend="eager")(features)
    torch.compiler.reset()
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
