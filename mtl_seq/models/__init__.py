"""Named models: functions that compose a bottom, a head and an objective.

Every builder is ``build(spec, *, funnel, bottom, seed, ...) -> FunnelModel``.
"""

from mtl_seq.models.click_space import click_space
from mtl_seq.models.escm2 import escm2_dr, escm2_ips
from mtl_seq.models.esmm import esmm
from mtl_seq.models.model import CLICK_CONVERSION, Builder, FunnelModel, assemble
from mtl_seq.models.multitask import multitask
from mtl_seq.models.oracle import oracle

__all__ = [
    "CLICK_CONVERSION",
    "Builder",
    "FunnelModel",
    "assemble",
    "click_space",
    "escm2_dr",
    "escm2_ips",
    "esmm",
    "multitask",
    "oracle",
]
