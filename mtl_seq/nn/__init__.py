"""Networks: features to the logits of a funnel, in exchangeable parts."""

from mtl_seq.nn.bottoms import (
    CGC,
    PLE,
    Bottom,
    BottomFactory,
    ExpertFactory,
    MMoE,
    OMoE,
    SharedBottom,
    SingleTask,
)
from mtl_seq.nn.compose.compose_conditionals import compose_conditionals
from mtl_seq.nn.compose.compose_dependent import compose_dependent
from mtl_seq.nn.compose.compose_gaussian import compose_gaussian
from mtl_seq.nn.compose.compose_joints import compose_joints
from mtl_seq.nn.heads import (
    AITM,
    DBMTL,
    DependentHead,
    GaussianHead,
    Head,
    HeadFactory,
    JointHead,
    ParallelHead,
)
from mtl_seq.nn.layers.embedding import Embedding, TowerEmbeddings
from mtl_seq.nn.layers.mlp import MLP, Tower
from mtl_seq.nn.layers.wide import Wide
from mtl_seq.nn.network import EmbeddingFactory, FunnelNetwork

__all__ = [
    "AITM",
    "CGC",
    "DBMTL",
    "MLP",
    "PLE",
    "Bottom",
    "BottomFactory",
    "DependentHead",
    "Embedding",
    "EmbeddingFactory",
    "ExpertFactory",
    "FunnelNetwork",
    "GaussianHead",
    "Head",
    "HeadFactory",
    "JointHead",
    "MMoE",
    "OMoE",
    "ParallelHead",
    "SharedBottom",
    "SingleTask",
    "Tower",
    "TowerEmbeddings",
    "Wide",
    "compose_conditionals",
    "compose_dependent",
    "compose_gaussian",
    "compose_joints",
]


def __dir__() -> list[str]:
    return __all__
