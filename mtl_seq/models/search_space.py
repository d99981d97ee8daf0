"""What a search may turn: the ranges of a builder's own arguments.

A builder's weights of losses, its propensity policy and its bottom are read from its signature; what
else it takes stands beside it, as ``SPACE`` of its file.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from mtl_seq import nn
from mtl_seq.errors import CompositionError
from mtl_seq.losses import PropensityPolicy
from mtl_seq.models.base import Builder

__all__ = ["Choice", "Range", "SearchSpace", "Value", "applied", "search_space"]

Value = bool | float | int | str | None


class Range(NamedTuple):
    """Numbers between two ends.

    Attributes:
        low: The least.
        high: The greatest.
        log: Whether they are even in their logarithm.
    """

    low: float
    high: float
    log: bool = False


class Choice(NamedTuple):
    """One of several values.

    Attributes:
        options: The values.
    """

    options: tuple[Value, ...]


SearchSpace = Mapping[str, Range | Choice]
"""Ranges by name. A dotted name is an argument of an argument: ``bottom.experts``."""

_BOTTOMS: Mapping[Any, SearchSpace] = {
    nn.MMoE: {"bottom.experts": Choice((2, 4, 8))},
    nn.OMoE: {"bottom.experts": Choice((2, 4, 8))},
    nn.PLE: {"bottom.shared": Choice((1, 2, 4)), "bottom.levels": Choice((1, 2))},
    nn.CGC: {"bottom.shared": Choice((1, 2, 4))},
}
_HIDDEN = Choice(("32,16", "64,32", "128,64"))


def search_space(builder: Builder) -> SearchSpace:
    """The ranges of a builder's arguments; those that a partial of it has set are left out.

    Args:
        builder: A builder, or a ``functools.partial`` of one.

    Returns:
        Ranges by name: ``<loss>_weight`` from a tenth to ten times its default, quantile and
        self-normalisation of the propensity policy, experts and widths of the bottom, and what the
        builder's file names in ``SPACE``.
    """
    inner, given = _parts(builder)
    taken = inspect.signature(inner).parameters
    found: dict[str, Range | Choice] = {}
    for name, parameter in taken.items():
        if name.endswith("_weight") and isinstance(parameter.default, float):
            middle = parameter.default or 0.1
            found[name] = Range(middle / 10, middle * 10, log=True)
    own: SearchSpace = getattr(sys.modules[inner.__module__], "SPACE", {})
    found |= {name: one for name, one in own.items() if name in taken}
    if "propensity" in taken:
        found["propensity.quantile"] = Range(0.001, 0.1, log=True)
        found["propensity.self_normalise"] = Choice((False, True))
    if "bottom" in taken:
        bottom, settled = _parts(given.get("bottom", taken["bottom"].default))
        if bottom is not nn.SingleTask:
            nested = {**_BOTTOMS.get(bottom, {}), "bottom.hidden": _HIDDEN}
            arguments = inspect.signature(bottom).parameters
            found |= {
                name: one
                for name, one in nested.items()
                if (last := name.split(".")[1]) in arguments and last not in settled
            }
    return {name: one for name, one in found.items() if name not in given or "." in name}


def applied(builder: Builder, values: Mapping[str, Value]) -> Builder:
    """The builder with these arguments.

    Args:
        builder: A builder, or a partial of one.
        values: By name, as `search_space` names them.

    Raises:
        CompositionError: An argument that the builder does not have.
    """
    inner, given = _parts(builder)
    taken = inspect.signature(inner).parameters
    flat: dict[str, Any] = {}
    bottom: dict[str, Any] = {}
    policy: dict[str, Any] = {}
    for name, value in values.items():
        head, _, tail = name.partition(".")
        if head not in taken or (tail and head not in ("bottom", "propensity")):
            raise CompositionError(
                f"{inner.__name__} has no argument {name!r}: known are {sorted(taken)}"
            )
        if head == "bottom" and tail:
            bottom[tail] = _widths(value) if tail == "hidden" else value
        elif head == "propensity" and tail:
            policy[tail] = value
        else:
            flat[name] = value
    if bottom:
        flat["bottom"] = partial(given.get("bottom", taken["bottom"].default), **bottom)
    if policy:
        flat["propensity"] = replace(given.get("propensity") or PropensityPolicy(), **policy)
    return partial(builder, **flat) if flat else builder


def _parts(function: Callable[..., Any]) -> tuple[Any, dict[str, Any]]:
    """What a partial, or one of a partial, calls, and with what."""
    given: dict[str, Any] = {}
    while isinstance(function, partial):
        given = {**function.keywords, **given}
        function = function.func
    return function, given


def _widths(value: Value) -> tuple[int, ...]:
    """``"64,32"`` as ``(64, 32)``: a choice of a study is a text or a number."""
    return tuple(int(width) for width in str(value).split(","))
