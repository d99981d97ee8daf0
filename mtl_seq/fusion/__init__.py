"""Fusion of the scores of several models into one, and the search of its weights."""

from mtl_seq.fusion.fusion import Kind, ScoreFusion
from mtl_seq.fusion.order import order_within, pareto_front
from mtl_seq.fusion.search import FusionSearch, search_fusion

__all__ = [
    "FusionSearch",
    "Kind",
    "ScoreFusion",
    "order_within",
    "pareto_front",
    "search_fusion",
]


def __dir__() -> list[str]:
    return __all__
