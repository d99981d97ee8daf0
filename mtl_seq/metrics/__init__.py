"""Metrics that stream, reset, and reduce over processes."""

from mtl_seq.metrics.clicked_log_loss import ClickedLogLoss

__all__ = ["ClickedLogLoss"]
