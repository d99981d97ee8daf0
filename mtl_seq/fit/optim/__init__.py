"""Optimisers with separate rules for embedding tables and for all else, as Lightning takes them.

Tables are the weights of every `nn.Embedding` of a network.
"""

from mtl_seq.fit.optim.adagrad import RowWiseAdagrad
from mtl_seq.fit.optim.adam import RowWiseAdam
from mtl_seq.fit.optim.base import OptimizerFactory
from mtl_seq.fit.optim.dense import DenseAdam
from mtl_seq.fit.optim.row_wise import RowOptimizer, RowWise, table_gradients

__all__ = [
    "DenseAdam",
    "OptimizerFactory",
    "RowOptimizer",
    "RowWise",
    "RowWiseAdagrad",
    "RowWiseAdam",
    "table_gradients",
]
