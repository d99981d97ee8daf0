"""Search spaces: ranges of a builder's arguments.

Loss weights, the propensity policy and the bottom are read from a builder's signature; ranges of
other arguments are in ``SPACE`` of its module.
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
    """An interval of numbers.

    Attributes:
        low: The lower bound.
        high: The upper bound.
        log: Whether to search on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False


class Choice(NamedTuple):
    """One of several values.

    Attributes:
        options: The values to choose from.
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
    """The search space of a builder, without arguments that a partial of it has set.

    Args:
        builder: A builder, or a ``functools.partial`` of one.

    Returns:
        Ranges by name: ``<loss>_weight`` from a tenth to ten times its default, quantile and
        self-normalisation of the propensity policy, experts and widths of the bottom, and the
        ranges in ``SPACE`` of the builder's module.
    """
    target, bound = _parts(builder)
    arguments = inspect.signature(target).parameters
    space: dict[str, Range | Choice] = {}
    for name, parameter in arguments.items():
        if name.endswith("_weight") and isinstance(parameter.default, float):
            middle = parameter.default or 0.1
            space[name] = Range(middle / 10, middle * 10, log=True)
    declared: SearchSpace = getattr(sys.modules[target.__module__], "SPACE", {})
    space |= {name: values for name, values in declared.items() if name in arguments}
    if "propensity" in arguments:
        space["propensity.quantile"] = Range(0.001, 0.1, log=True)
        space["propensity.self_normalise"] = Choice((False, True))
    if "bottom" in arguments:
        bottom, bottom_keywords = _parts(bound.get("bottom", arguments["bottom"].default))
        if bottom is not nn.SingleTask:
            nested = {**_BOTTOMS.get(bottom, {}), "bottom.hidden": _HIDDEN}
            of_bottom = inspect.signature(bottom).parameters
            space |= {
                name: values
                for name, values in nested.items()
                if (last := name.split(".")[1]) in of_bottom and last not in bottom_keywords
            }
    return {name: values for name, values in space.items() if name not in bound or "." in name}


def applied(builder: Builder, values: Mapping[str, Value]) -> Builder:
    """Bind arguments of a search space to a builder.

    Args:
        builder: A builder, or a partial of one.
        values: By name, as `search_space` names them.

    Raises:
        CompositionError: An argument that the builder does not have.
    """
    target, bound = _parts(builder)
    arguments = inspect.signature(target).parameters
    flat: dict[str, Any] = {}
    bottom: dict[str, Any] = {}
    policy: dict[str, Any] = {}
    for name, value in values.items():
        head, _, tail = name.partition(".")
        if head not in arguments or (tail and head not in ("bottom", "propensity")):
            raise CompositionError(
                f"{target.__name__} has no argument {name!r}: known are {sorted(arguments)}"
            )
        if head == "bottom" and tail:
            bottom[tail] = _widths(value) if tail == "hidden" else value
        elif head == "propensity" and tail:
            policy[tail] = value
        else:
            flat[name] = value
    if bottom:
        flat["bottom"] = partial(bound.get("bottom", arguments["bottom"].default), **bottom)
    if policy:
        flat["propensity"] = replace(bound.get("propensity") or PropensityPolicy(), **policy)
    return partial(builder, **flat) if flat else builder


def _parts(function: Callable[..., Any]) -> tuple[Any, dict[str, Any]]:
    """The function that a (nested) partial calls, and its keywords."""
    bound: dict[str, Any] = {}
    while isinstance(function, partial):
        bound = {**function.keywords, **bound}
        function = function.func
    return function, bound


def _widths(value: Value) -> tuple[int, ...]:
    """``"64,32"`` as ``(64, 32)``: options of a study are texts or numbers."""
    return tuple(int(width) for width in str(value).split(","))
