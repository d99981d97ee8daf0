"""The click-then-convert funnel with logistic links and known truth."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import SchemaError, SimulationError
from mtl_seq.funnel import Funnel
from mtl_seq.records import FunnelTruth
from mtl_seq.schema import Schema
from mtl_seq.simulate.common.parameter_checks import ParameterError
from mtl_seq.simulate.logistic.build import Scenario, build
from mtl_seq.simulate.logistic.parameters import Parameters
from mtl_seq.simulate.logistic.sample_impressions import Shown

__all__ = ["LogisticFunnel"]

_NAMES = {"user": ("user_segment", "user_tier"), "item": ("item_category", "item_brand")}


@dataclass(frozen=True)
class LogisticFunnel(Parameters):
    """Impressions of items to users, clicks, and the conversion each would have had if clicked.

    Every user and item has standardised effects on the click and on the conversion; their scores
    are ``z = sqrt(u) user + sqrt(v) item + sqrt(interaction) taste`` with u : v = 5 : 4 and
    u + v + interaction = 1, the last an inner product of latent tastes, and

        click logit        a = alpha + click_slope * z_click + g_click * h
        conversion logit   b = beta + conversion_slope * z_conversion + g_conversion * h
                             + curvature * (z_click^2 - 1) / sqrt(2)
        r ~ Bernoulli(sigmoid(b)) for EVERY impression,   o ~ Bernoulli(sigmoid(a + mnar * r))

    with h a standard normal that the log does not show. The log shows ``conversion = o * r``.
    ``z_conversion = rho * z_click + sqrt(1 - rho^2) * z_own``; scores have mean 0, variance 1 and
    correlation `rho` exactly, under the popularity of users and items. Mechanisms that are a group
    of their own, `exposure`, `context`, `actions`, `delay` and `drift`, add to this what their
    classes say; without them the scenario has none of it.

    The truth is given all the log shows; h is integrated out. ``truth.hidden`` holds
    ``confounder`` (h), ``potential_<action>`` and ``delay`` (days), ``truth.further``
    ``<action>`` for P(o = 1, action | x), ``<action>_then_conversion`` for
    P(o = 1, action, r = 1 | x), ``conversion_known`` for P(o = 1, r = 1, known at the cut-off | x),
    and with a confounder per user ``pctr_without_confounder`` and so on: x then holds an id that
    tells h, so that is what a model knows that learns all of the user but h.

    Attributes:
        users: How many users.
        items: How many items.
        rho: Selection: correlation of the click and the conversion score, in [-1, 1].
        click_slope: How strongly the features move clicks; large values leave little overlap.
        conversion_slope: How strongly they move conversions.
        ctr: Clicks per impression, in (0, 1); the intercept is solved for it.
        cvr: Conversions per click, in (0, 1); likewise.
        confounder: Loading of the hidden confounder on both logits, g_click = g_conversion.
        mnar: What a potential conversion adds to the click logit (missing not at random).
        id_effects: Share of the effects' variance, in [0, 1], that ids carry and attributes do not:
            ``effect = sqrt(1 - id_effects) attributes + sqrt(id_effects) own``.
        interaction: Share of the scores' variance, in [0, 1], that lies in user x item tastes. It
            takes much data to learn; where a propensity model has not, it acts like something
            hidden.
        user_zipf: Zipf exponent of the users' popularity, ``P ~ rank^-exponent``.
        item_zipf: Zipf exponent of the items' popularity.
        hidden_from: For a stage, the features that models must hide from its tower. The log shows
            them, and so does the truth: this makes a model misspecified, not the scenario.
        seed: Seed of the scenario: its users, items and their effects.
        cvr_over: What `cvr` is the rate of: conversions per click, or for ``"impressions"`` the
            mean of P(r = 1) over all impressions.
        curvature: kappa; a model without squares of the click score is then misspecified, and its
            error depends on the propensity. The term has mean 0, and variance near 1 at kappa 1.
        tastes: Latent size: how many tastes an interaction is made of.
        user_attributes: Levels of each attribute of users that the log shows.
        item_attributes: Levels of each attribute of items.
        confounder_click: g_click, where it is not `confounder`; a sign of its own turns the bias.
        confounder_conversion: g_conversion, likewise.
        confounder_per: Whether each ``"impression"`` draws its own h, which nobody can learn, or
            each ``"user"``, whose id can.
        days: Length of the log, which then has a column ``time``, in days; 0 for none.
        exposure: Which items are shown, in which position.
        context: Dense features of the impression, and the cosine of the two tasks on them.
        actions: What may happen between click and conversion.
        delay: How late conversions come, and how late the log is read.
        drift: What changes from day to day.

    Raises:
        ParameterError: A parameter outside its range, or a rate that the scenario cannot reach.
        SimulationError: Too few users or items for so many effects.

    >>> simulator = LogisticFunnel(users=50, items=40, seed=0)
    >>> log, truth = simulator.sample(1000, np.random.default_rng(1))
    >>> bool((log["conversion"] == log["click"] * truth.potential).all())
    True
    """

    _scenario: Scenario = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_parameters()
        for name in ("user_attributes", "item_attributes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        taken = {*self._features(), "price", "time", "exposure_propensity"}
        for name in () if self.actions is None else self.actions.names:
            if name in taken:
                raise ParameterError(
                    f"`actions.names` must not be a column that the log has anyway, found {name!r}",
                    "actions.names",
                )
        try:
            _ = self.schema
        except SchemaError as error:
            raise ParameterError(str(error), "hidden_from") from error
        object.__setattr__(self, "_scenario", build(self))

    @property
    def schema(self) -> Schema:
        """The roles of the log's columns."""
        funnel = (
            Funnel.chain("click", "conversion") if self.actions is None else self.actions.funnel
        )
        context = self.context.features if self.context is not None else 0
        return Schema(
            labels={name: name for name in funnel.names},
            funnel=funnel,
            ids=self._features(),
            dense=("price", *(f"context_{k}" for k in range(context))),
            hidden_from=self.hidden_from,
            click_only=() if self.exposure is None else ("position",),
            group="user_id",
            time="time" if self.days else None,
        )

    def sample(self, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, FunnelTruth]:
        """Draw n impressions: the log and its truth.

        Args:
            n: How many, at least 1.
            rng: The only source of randomness.

        Returns:
            The log with ids, attributes, price, what its mechanisms add, and the labels; the truth
            of the same rows.

        Raises:
            SimulationError: n is below 1.
        """
        if n < 1:
            raise SimulationError(f"`n` must be at least 1, found {n}")
        shown = self._scenario.showing.draw(n, rng)
        happened = self._scenario.happening.draw(shown, rng)
        columns = {**self._columns(shown), **happened.labels}
        return pd.DataFrame(columns, copy=False), happened.truth

    def _features(self) -> tuple[str, ...]:
        """Columns of ids, in the log's order."""
        users = _names("user", len(self.user_attributes))
        items = _names("item", len(self.item_attributes))
        position = () if self.exposure is None else ("position",)
        return ("user_id", *users, "item_id", *items, *position)

    def _columns(self, shown: Shown) -> dict[str, NDArray[np.generic]]:
        simulator = self._scenario
        columns: dict[str, NDArray[np.generic]] = {"user_id": shown.user}
        for k, name in enumerate(_names("user", len(self.user_attributes))):
            columns[name] = simulator.user_attributes[:, k][shown.user]
        columns["item_id"] = shown.item
        for k, name in enumerate(_names("item", len(self.item_attributes))):
            columns[name] = simulator.item_attributes[:, k][shown.item]
        columns["price"] = simulator.price[shown.item]
        if shown.context is not None:
            columns.update({f"context_{k}": x for k, x in enumerate(shown.context.T)})
        if shown.position is not None and shown.propensity is not None:
            columns["position"] = shown.position
            columns["exposure_propensity"] = shown.propensity
        if shown.time is not None:
            columns["time"] = shown.time
        return columns


def _names(kind: str, count: int) -> tuple[str, ...]:
    given = _NAMES[kind]
    return (*given[:count], *(f"{kind}_attribute_{k}" for k in range(len(given), count)))
