"""Heads: one representation per tower to the logits of a funnel."""

from mtl_seq.nn.heads.aitm import AITM
from mtl_seq.nn.heads.base import Composition, Head, HeadFactory
from mtl_seq.nn.heads.dbmtl import DBMTL
from mtl_seq.nn.heads.dependent import DependentHead
from mtl_seq.nn.heads.gaussian import GaussianHead
from mtl_seq.nn.heads.joints import JointHead
from mtl_seq.nn.heads.parallel import ParallelHead, join_own

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
