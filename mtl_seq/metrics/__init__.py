"""Metrics that stream, reset, and reduce over processes."""

from mtl_seq.metrics.clicked_log_loss import ClickedLogLoss
from mtl_seq.metrics.misranked_share import MisrankedShare

__all__ = ["ClickedLogLoss", "MisrankedShare"]
