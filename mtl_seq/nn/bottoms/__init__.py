"""Bottoms: shared input to one representation per tower."""

from mtl_seq.nn.bottoms.base import Bottom, BottomFactory
from mtl_seq.nn.bottoms.gates import ExpertFactory
from mtl_seq.nn.bottoms.mmoe import MMoE
from mtl_seq.nn.bottoms.omoe import OMoE
from mtl_seq.nn.bottoms.ple import CGC, PLE
from mtl_seq.nn.bottoms.shared import SharedBottom
from mtl_seq.nn.bottoms.single import SingleTask

__all__ = [
    "CGC",
    "PLE",
    "Bottom",
    "BottomFactory",
    "ExpertFactory",
    "MMoE",
    "OMoE",
    "SharedBottom",
    "SingleTask",
]
