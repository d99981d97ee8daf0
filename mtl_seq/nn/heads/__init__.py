"""Heads: one representation per tower to the logits of a funnel."""

from mtl_seq.nn.heads.aitm import AITM
from mtl_seq.nn.heads.base import Composition, Head, HeadFactory, join_own
from mtl_seq.nn.heads.dbmtl import DBMTL
from mtl_seq.nn.heads.dependent import DependentHead
from mtl_seq.nn.heads.gaussian import GaussianHead
from mtl_seq.nn.heads.joints import JointHead
from mtl_seq.nn.heads.parallel import ParallelHead

__all__ = [
    "AITM",
    "DBMTL",
    "Composition",
    "DependentHead",
    "GaussianHead",
    "Head",
    "HeadFactory",
    "JointHead",
    "ParallelHead",
    "join_own",
]
