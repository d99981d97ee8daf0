"""Bottoms: shared input to one representation per tower."""

from mtl_seq.nn.bottoms.base import Bottom, BottomFactory
from mtl_seq.nn.bottoms.mmoe import MMoE
from mtl_seq.nn.bottoms.shared import SharedBottom
from mtl_seq.nn.bottoms.single import SingleTask

__all__ = ["Bottom", "BottomFactory", "MMoE", "SharedBottom", "SingleTask"]
