"""The model of a fit before its first step."""

from torch import Tensor

from mtl_seq.data import Codec
from mtl_seq.fit.config import FitConfig
from mtl_seq.fit.prepare.base_rates import base_rates
from mtl_seq.fit.prepare.warm_start import Fitted, grow
from mtl_seq.models import FunnelModel

__all__ = ["build_model", "initialise"]


def build_model(config: FitConfig, codec: Codec) -> FunnelModel:
    """Build the model for the features of a codec.

    Raises:
        CompositionError: A calibration that the model does not allow.
    """
    spec = config.encoding.applied(codec.spec)
    model = config.model(spec, funnel=codec.schema.funnel, seed=config.seed)
    if config.calibrate is not None:
        config.calibrate.weighted_for(model.objective)
    return model


def initialise(
    model: FunnelModel,
    codec: Codec,
    start: Fitted | None,
    stages: Tensor,
    counts: Tensor | None = None,
) -> None:
    """Set a model's first weights: those of a warm start, else towers at the log's base rates.

    Args:
        model: The model; it is changed.
        codec: Its codec.
        start: The earlier fit of a warm start; None without one.
        stages: ``(N, K)`` labels of training rows.
        counts: ``(N,)`` number of rows with these labels; None for one each.
    """
    if start is None:
        model.network.start_at(base_rates(codec.schema.funnel, stages, counts))
    else:
        grow(start, codec, model)
