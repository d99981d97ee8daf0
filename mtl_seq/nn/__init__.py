"""Networks: features to the logits of a funnel, in exchangeable parts."""

from mtl_seq.nn.bottoms import Bottom, BottomFactory, MMoE, SharedBottom, SingleTask
from mtl_seq.nn.compose import compose_conditionals
from mtl_seq.nn.embedding import Embedding, TowerEmbeddings
from mtl_seq.nn.heads import Head, HeadFactory, ParallelHead
from mtl_seq.nn.mlp import MLP, Tower
from mtl_seq.nn.network import EmbeddingFactory, FunnelNetwork

__all__ = [
    "MLP",
    "Bottom",
    "BottomFactory",
    "Embedding",
    "EmbeddingFactory",
    "FunnelNetwork",
    "Head",
    "HeadFactory",
    "MMoE",
    "ParallelHead",
    "SharedBottom",
    "SingleTask",
    "Tower",
    "TowerEmbeddings",
    "compose_conditionals",
]
