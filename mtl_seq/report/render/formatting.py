"""Number formats: one for each metric, in the table, the page and the terminal."""

import math
from typing import Any

from mtl_seq.report.compute.metrics import Estimate

__all__ = [
    *("format_estimate", "format_interval", "format_metadata", "format_metric", "format_percent")
]

_SIGNED = ("relative_bias", "absolute_relative_bias")
_SHARES = ("gap_closed",)
_DIGITS = {"auc": 4, "log_loss": 4, "rmse": 4, "mean_bias": 4, "pcoc": 3, "ece": 4}


def format_metric(metric: str, value: float, *, signed: bool = False) -> str:
    """A value in the format of its metric; ``n/a`` where it is undefined.

    Differences are `signed`: their sign is always written.
    """
    if math.isnan(value):
        return "n/a"
    signed = signed or metric in _SIGNED
    digits = _DIGITS.get(metric, 4)
    if metric in (*_SIGNED, *_SHARES):
        form = ".1%" if metric in _SIGNED else ".0%"
    else:
        # Differences in log loss are small.
        form = f".{digits + (signed and metric == 'log_loss')}f"
    text = format(value, f"+{form}" if signed else form)
    if not any(digit in text for digit in "123456789"):
        return text.replace("-", "+" if signed else "")  # no negative zero
    return text


def format_interval(metric: str, estimate: Estimate, *, signed: bool = False) -> str:
    """``[low, high]``; empty where there is no interval."""
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    ends = (format_metric(metric, end, signed=signed) for end in (estimate.low, estimate.high))
    return f"[{', '.join(ends)}]"


def format_estimate(metric: str, estimate: Estimate, *, signed: bool = False) -> str:
    """A value and, where there is one, its interval."""
    value = format_metric(metric, estimate.value, signed=signed)
    return f"{value} {format_interval(metric, estimate, signed=signed)}".strip()


def format_space(space: str) -> str:
    """A space, spelled out."""
    return "all impressions" if space == "all" else space


def format_target(quantity: str, space: str) -> str:
    """A predicted quantity and its space: ``pCVR, clicks``."""
    return f"p{quantity[1:].upper()}, {format_space(space)}"


def format_percent(value: float, digits: int = 1) -> str:
    """A share in per cent; at least two significant digits below 1%."""
    if math.isnan(value):
        return "n/a"
    if 0 < abs(value) < 0.01:
        digits = max(digits, 1 - math.floor(math.log10(abs(value) * 100)))
    return f"{value:.{digits}%}"


def format_metadata(value: Any) -> str:
    """A metadata value as text."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
