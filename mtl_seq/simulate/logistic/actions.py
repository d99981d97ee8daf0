"""Actions between click and conversion, such as carts and favourites."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtl_seq.funnel import OTHER, Funnel, Stage
from mtl_seq.records import FloatArray
from mtl_seq.simulate.common.parameter_checks import (
    ParameterError,
    check_number,
    check_numbers,
    check_share,
)

__all__ = ["Actions"]

_TAKEN = ("click", "conversion", OTHER)


@dataclass(frozen=True)
class Actions:
    """Exclusive actions after the click; the conversion follows one of them, or none (ESM2).

        z_j = rho * z_conversion + sqrt(1 - rho^2) * (an independent score)
        P(A = j | click, x)   proportional to exp(gamma_j + slope * z_j); exp(0) for none
        P(r = 1 | A = j, x) = sigmoid(b + lift_j),   sigmoid(b) without an action

    so that ``P(r = 1 | x) = sum_j P(A = j) sigmoid(b + lift_j)`` exactly. The potential action, had
    the impression been clicked, is drawn for every impression, as r is. One action is ESM2's
    mediator; with `required` it is a stage of a chain: no conversion without it. Actions depend on
    x only, not on the hidden confounder.

    Attributes:
        names: The stages' names, which are also columns of the log.
        rates: Share of the clicks with each action, in (0, 1), together below 1; gamma is solved.
        lift: What each adds to the conversion logit, in [-20, 20].
        slope: How strongly scores move the actions, in [0, 20].
        rho: Correlation of each action's score with the conversion score, in [-1, 1].
        required: Whether there is no conversion without the one action.

    Raises:
        ParameterError: One outside its range, or lists of different lengths.
    """

    names: Sequence[str] = ("cart",)
    rates: Sequence[float] = (0.2,)
    lift: Sequence[float] = (2.0,)
    slope: float = 1.0
    rho: float = 0.5
    required: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.names, str) or not self.names:
            raise ParameterError.of(
                "actions.names", f"must be a list of names, found {self.names!r}"
            )
        for name in self.names:
            if not isinstance(name, str) or not name.isidentifier() or name in _TAKEN:
                raise ParameterError.of(
                    "actions.names", f"must be words other than {', '.join(_TAKEN)}, found {name!r}"
                )
        check_numbers("actions.rates", self.rates, 0, 1)
        for rate in self.rates:
            check_share("actions.rates", rate)
        if sum(self.rates) >= 1:
            raise ParameterError.of(
                "actions.rates", f"must be below 1 together, found {list(self.rates)}"
            )
        check_numbers("actions.lift", self.lift, -20, 20)
        check_number("actions.slope", self.slope, 0, 20)
        check_number("actions.rho", self.rho, -1, 1)
        for name in ("names", "rates", "lift"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(set(self.names)) != len(self.names):
            raise ParameterError.of("actions.names", f"must be different, found {list(self.names)}")
        for name in ("rates", "lift"):
            if len(getattr(self, name)) != len(self.names):
                raise ParameterError.of(
                    f"actions.{name}",
                    f"must have one value for each of the {len(self.names)} "
                    f"`names`, found {list(getattr(self, name))}",
                )
        if self.required and len(self.names) > 1:
            raise ParameterError.of(
                "actions.required",
                f"must be false for several exclusive actions, found {list(self.names)}: name one",
            )

    @property
    def funnel(self) -> Funnel:
        """Click, the actions, conversion."""
        if self.required:
            return Funnel.chain("click", *self.names, "conversion")
        between = tuple(Stage(name, "click") for name in self.names)
        return Funnel((Stage("click"), *between, Stage("conversion", "click", tuple(self.names))))

    @property
    def lifts(self) -> FloatArray:
        """``(J + 1,)`` what each class adds to the conversion logit, that of no action first."""
        return np.array([-np.inf if self.required else 0.0, *self.lift])

    @staticmethod
    def chances(logits: FloatArray) -> FloatArray:
        """``(J + 1, N)`` probability of each class, no action first, from ``(J, N)`` logits."""
        top = np.maximum(logits.max(axis=0), 0)
        weight = np.exp(np.concatenate([np.zeros((1, logits.shape[1])), logits]) - top)
        shares: FloatArray = weight / weight.sum(axis=0)
        return shares
