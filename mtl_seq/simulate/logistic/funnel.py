"""The logistic funnel: clicks and conversions with logistic links and known truth."""

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
from mtl_seq.simulate.logistic.sample_impressions import Impressions

__all__ = ["LogisticFunnel"]

_NAMES = {"user": ("user_segment", "user_tier"), "item": ("item_category", "item_brand")}


@dataclass(frozen=True)
class LogisticFunnel(Parameters):
    """Impressions, clicks, and the potential conversion of every impression, with logistic links.

    Every user and item has standardised effects on the click and on the conversion; their scores
    are ``z = sqrt(u) user + sqrt(v) item + sqrt(interaction) taste`` with u : v = 5 : 4 and
    u + v + interaction = 1, the last an inner product of latent tastes, and

        click logit        a = alpha + click_slope * z_click + g_click * h
        conversion logit   b = beta + conversion_slope * z_conversion + g_conversion * h
                             + curvature * (z_click^2 - 1) / sqrt(2)
        r ~ Bernoulli(sigmoid(b)) for EVERY impression,   o ~ Bernoulli(sigmoid(a + mnar * r))

    with h a standard normal that the log does not show. The log shows ``conversion = o * r``.
    ``z_conversion = rho * z_click + sqrt(1 - rho^2) * z_own``; scores have mean 0, variance 1 and
    correlation `rho` exactly, under the popularity of users and items. The mechanisms `exposure`,
    `context`, `actions`, `delay` and `drift` are optional; their classes document what each adds.

    The truth conditions on all the log shows; h is integrated out. ``truth.hidden`` holds
    ``confounder`` (h), ``potential_<action>`` and ``delay`` (days), ``truth.further``
    ``<action>`` for P(o = 1, action | x), ``<action>_then_conversion`` for
    P(o = 1, action, r = 1 | x), ``conversion_known`` for P(o = 1, r = 1, known at the cut-off | x),
    and with a confounder per user ``pctr_without_confounder`` and so on: x then holds an id that
    determines h, and these are the probabilities without it.

    Attributes:
        users: Number of users.
        items: Number of items.
        rho: Selection: correlation of the click and the conversion score, in [-1, 1].
        click_slope: Effect of the features on clicks; large values leave little overlap.
        conversion_slope: Effect of the features on conversions.
        ctr: Clicks per impression, in (0, 1); the intercept is solved for it.
        cvr: Conversions per click, in (0, 1); likewise.
        confounder: Loading of the hidden confounder on both logits, g_click = g_conversion.
        mnar: What a potential conversion adds to the click logit (missing not at random).
        id_effects: Share of the effects' variance, in [0, 1], that ids carry and attributes do not:
            ``effect = sqrt(1 - id_effects) attributes + sqrt(id_effects) individual``.
        interaction: Share of the scores' variance, in [0, 1], explained by user x item tastes. It
            takes much data to learn; where a propensity model has not learned it, it acts like a
            hidden confounder.
        user_zipf: Zipf exponent of the users' popularity, ``P ~ rank^-exponent``.
        item_zipf: Zipf exponent of the items' popularity.
        hidden_from: For a stage, the features that models must hide from its tower. Log and truth
            keep them: this makes a model misspecified, not the scenario.
        seed: Seed of the scenario: its users, items and their effects.
        cvr_over: What `cvr` is the rate of: conversions per click, or for ``"impressions"`` the
            mean of P(r = 1) over all impressions.
        curvature: kappa; a model without squares of the click score is then misspecified, and its
            error depends on the propensity. The term has mean 0, and variance near 1 at kappa 1.
        tastes: Number of latent tastes of the interaction.
        user_attributes: Levels of each attribute of users that the log shows.
        item_attributes: Levels of each attribute of items.
        confounder_click: g_click, where it is not `confounder`; opposite signs reverse the bias.
        confounder_conversion: g_conversion, likewise.
        confounder_per: Whether each ``"impression"`` draws its own h, which nobody can learn, or
            each ``"user"``, whose id can.
        days: Length of the log, which then has a column ``time``, in days; 0 for none.
        exposure: The exposure policy: which items are shown, in which position.
        context: Dense features of the impression, and the cosine of the two tasks on them.
        actions: Stages between click and conversion.
        delay: Distribution of the conversion delay, and when the log is read.
        drift: Changes from day to day.

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
                raise ParameterError.of(
                    "actions.names", f"must not be another column of the log, found {name!r}"
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
        """Draw n impressions; see `Simulator.sample`. The log has what its mechanisms add."""
        if n < 1:
            raise SimulationError(f"`n` must be at least 1, found {n}")
        impressions = self._scenario.impressions.draw(n, rng)
        outcomes = self._scenario.outcomes.draw(impressions, rng)
        columns = {**self._columns(impressions), **outcomes.labels}
        return pd.DataFrame(columns, copy=False), outcomes.truth

    def _features(self) -> tuple[str, ...]:
        """Columns of ids, in the log's order."""
        users = _names("user", len(self.user_attributes))
        items = _names("item", len(self.item_attributes))
        position = () if self.exposure is None else ("position",)
        return ("user_id", *users, "item_id", *items, *position)

    def _columns(self, impressions: Impressions) -> dict[str, NDArray[np.generic]]:
        scenario = self._scenario
        columns: dict[str, NDArray[np.generic]] = {"user_id": impressions.user}
        for k, name in enumerate(_names("user", len(self.user_attributes))):
            columns[name] = scenario.user_attributes[:, k][impressions.user]
        columns["item_id"] = impressions.item
        for k, name in enumerate(_names("item", len(self.item_attributes))):
            columns[name] = scenario.item_attributes[:, k][impressions.item]
        columns["price"] = scenario.price[impressions.item]
        if impressions.context is not None:
            columns.update({f"context_{k}": x for k, x in enumerate(impressions.context.T)})
        if impressions.position is not None and impressions.propensity is not None:
            columns["position"] = impressions.position
            columns["exposure_propensity"] = impressions.propensity
        if impressions.time is not None:
            columns["time"] = impressions.time
        return columns


def _names(kind: str, count: int) -> tuple[str, ...]:
    named = _NAMES[kind]
    return (*named[:count], *(f"{kind}_attribute_{k}" for k in range(len(named), count)))
