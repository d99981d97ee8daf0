"""How figures are written: one form for each metric, in the table, the page and the terminal."""

import math
from typing import Any

from mtl_seq.report.compute.result import Estimate

__all__ = ["fact", "figure", "interval", "percent", "with_interval"]

_SIGNED = ("relative_bias", "absolute_relative_bias")
_SHARES = ("gap_closed",)
_PLAIN = {"auc": 4, "log_loss": 4, "rmse": 4, "mean_bias": 4, "pcoc": 3, "ece": 4}


def figure(metric: str, value: float, *, signed: bool = False) -> str:
    """A value in the form of its metric; ``n/a`` where it is undefined.

    Args:
        metric: The metric's name.
        value: The value.
        signed: Whether it is a difference, whose sign is always written.
    """
    if math.isnan(value):
        return "n/a"
    signed = signed or metric in _SIGNED
    digits = _PLAIN.get(metric, 4)
    if metric in (*_SIGNED, *_SHARES):
        form = ".1%" if metric in _SIGNED else ".0%"
    else:
        # Models differ by little in log loss, and a difference of 0.0000 says nothing.
        form = f".{digits + (signed and metric == 'log_loss')}f"
    text = format(value, f"+{form}" if signed else form)
    if not any(digit in text for digit in "123456789"):
        return text.replace("-", "+" if signed else "")  # no negative zero
    return text


def interval(metric: str, at: Estimate, *, signed: bool = False) -> str:
    """``[low, high]``; nothing where there is no interval."""
    if math.isnan(at.low) or math.isnan(at.high):
        return ""
    low, high = (figure(metric, end, signed=signed) for end in (at.low, at.high))
    return f"[{low}, {high}]"


def with_interval(metric: str, at: Estimate, *, signed: bool = False) -> str:
    """A value and, where there is one, its interval."""
    return (
        f"{figure(metric, at.value, signed=signed)} {interval(metric, at, signed=signed)}".strip()
    )


def percent(value: float, digits: int = 1) -> str:
    """A share in per cent; small ones keep two digits that say something."""
    if math.isnan(value):
        return "n/a"
    if 0 < abs(value) < 0.01:
        digits = max(digits, 1 - math.floor(math.log10(abs(value) * 100)))
    return f"{value:.{digits}%}"


def fact(value: Any) -> str:
    """A fact as text."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
