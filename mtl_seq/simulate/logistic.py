"""The click-then-convert funnel with logistic links and known truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import SimulationError
from mtl_seq.records import FunnelTruth
from mtl_seq.schema import Schema
from mtl_seq.simulate._effects import Entities, draw_entities
from mtl_seq.simulate._outcomes import marginal, outcome, solve_intercepts
from mtl_seq.simulate._pilot import pilot

__all__ = ["LogisticFunnel"]

FloatArray = NDArray[np.float64]

_TASTES = 4
_LEVELS = {"user": (8, 8), "item": (12, 20)}
_USER_TO_ITEM = 5 / 4


class _World(NamedTuple):
    users: Entities
    items: Entities
    price: FloatArray
    click_intercept: float
    conversion_intercept: float


@dataclass(frozen=True)
class LogisticFunnel:
    """Impressions of items to users, clicks, and the conversion each would have had if clicked.

    Every user and item has standardised effects on the click and on the conversion; their scores
    are ``z = sqrt(u) user + sqrt(v) item + sqrt(interaction) taste`` with u : v = 5 : 4 and
    u + v + interaction = 1, the last an inner product of latent tastes, and

        click logit        a = alpha + click_slope * z_click + confounder * h
        conversion logit   b = beta + conversion_slope * z_conversion + confounder * h
        r ~ Bernoulli(sigmoid(b)) for EVERY impression,   o ~ Bernoulli(sigmoid(a + mnar * r))

    with h a standard normal draw per impression that the log does not show. The log shows
    ``conversion = o * r``. Scores have mean 0, variance 1 and correlation `rho` exactly, under the
    popularity of users and items.

    Attributes:
        users: How many users.
        items: How many items.
        rho: Selection: correlation of the click and the conversion score, in [-1, 1].
        click_slope: How strongly the features move clicks; large values leave little overlap.
        conversion_slope: How strongly they move conversions.
        ctr: Clicks per impression, in (0, 1); the intercept is solved for it.
        cvr: Conversions per click, in (0, 1); likewise.
        confounder: Loading of the hidden confounder on both logits.
        mnar: What a potential conversion adds to the click logit.
        id_effects: Share of the effects' variance, in [0, 1], that ids carry and attributes do not.
        interaction: Share of the scores' variance, in [0, 1], that lies in user x item tastes. It
            takes much data to learn; where a propensity model has not, it acts like something
            hidden.
        user_zipf: Zipf exponent of the users' popularity.
        item_zipf: Zipf exponent of the items' popularity.
        hidden_from: For a stage, the features that models must hide from its tower. The log shows
            them, and so does the truth: this makes a model misspecified, not the world.
        seed: Seed of the world: its users, items and their effects.

    Raises:
        SimulationError: A knob outside its range.

    >>> world = LogisticFunnel(users=50, items=40, seed=0)
    >>> log, truth = world.sample(1000, np.random.default_rng(1))
    >>> bool((log["conversion"] == log["click"] * truth.potential).all())
    True
    """

    users: int = 5000
    items: int = 1000
    rho: float = 0.4
    click_slope: float = 1.0
    conversion_slope: float = 1.0
    ctr: float = 0.2
    cvr: float = 0.2
    confounder: float = 0.0
    mnar: float = 0.0
    id_effects: float = 0.3
    interaction: float = 0.1
    user_zipf: float = 0.4
    item_zipf: float = 0.8
    hidden_from: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seed: int = 0
    _world: _World = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check()
        object.__setattr__(self, "_world", self._build())

    @property
    def schema(self) -> Schema:
        """The roles of the log's columns."""
        return Schema(
            labels={"click": "click", "conversion": "conversion"},
            ids=(
                "user_id",
                "user_segment",
                "user_tier",
                "item_id",
                "item_category",
                "item_brand",
            ),
            dense=("price",),
            hidden_from=self.hidden_from,
            group="user_id",
        )

    def sample(self, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, FunnelTruth]:
        """Draw n impressions: the log and its truth.

        Args:
            n: How many, at least 1.
            rng: The only source of randomness.

        Returns:
            The log with ids, attributes, price, click and conversion; the truth of the same rows.

        Raises:
            SimulationError: n is below 1.
        """
        if n < 1:
            raise SimulationError(f"`n` must be at least 1, found {n}")
        world = self._world
        user = _draw(world.users.popularity, rng.random(n))
        item = _draw(world.items.popularity, rng.random(n))
        a, b = self._logits(user, item)
        shown = marginal(a, b, self.mnar, self.confounder)
        hidden = shown
        if self.confounder:
            shift = self.confounder * rng.standard_normal(n)
            a, b = a + shift, b + shift
            hidden = outcome(a, b, self.mnar)
        potential = (rng.random(n) < hidden.conversion).astype(np.int64)
        given = outcome(a + self.mnar * potential, b, 0.0).click
        click = (rng.random(n) < given).astype(np.int64)
        truth = FunnelTruth(
            pctr=shown.click,
            pcvr=shown.conversion,
            pctcvr=shown.both,
            pctr_hidden=hidden.click,
            pcvr_hidden=hidden.conversion,
            potential=potential.astype(np.float64),
        )
        return self._log(user, item, click, potential), truth

    def _check(self) -> None:
        ranges = {
            "users": (2, np.inf),
            "items": (2, np.inf),
            "rho": (-1, 1),
            "click_slope": (0, 20),
            "conversion_slope": (0, 20),
            "confounder": (0, 20),
            "mnar": (-20, 20),
            "id_effects": (0, 1),
            "interaction": (0, 1),
            "user_zipf": (0, 5),
            "item_zipf": (0, 5),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            whole = name in ("users", "items")
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                kind = "a whole number" if whole else "a number"
                raise SimulationError(f"`{name}` must be {kind}, found {value!r}")
            if not low <= value <= high:
                raise SimulationError(f"`{name}` must lie in [{low}, {high}], found {value}")
        for name in ("ctr", "cvr"):
            if not 0 < getattr(self, name) < 1:
                raise SimulationError(f"`{name}` must lie in (0, 1), found {getattr(self, name)}")

    def _build(self) -> _World:
        rng = np.random.default_rng(self.seed)
        users = draw_entities(
            self.users,
            _LEVELS["user"],
            2 + 2 * _TASTES,
            id_share=self.id_effects,
            exponent=self.user_zipf,
            rng=rng,
        )
        items = draw_entities(
            self.items,
            _LEVELS["item"],
            2 + _TASTES,
            id_share=self.id_effects,
            exponent=self.item_zipf,
            rng=rng,
        )
        # A price that tells something of the item's conversion effect, as prices do.
        told = 0.6 * items.effects[:, 1] + 0.8 * rng.standard_normal(self.items)
        price = np.round(np.exp(3 + 0.5 * told), 2).astype(np.float64)
        world = _World(users, items, price, 0.0, 0.0)
        object.__setattr__(self, "_world", world)
        alpha, beta = solve_intercepts(
            pilot(users.popularity, items.popularity, self._logits),
            mnar=self.mnar,
            loading=self.confounder,
            ctr=self.ctr,
            cvr=self.cvr,
        )
        return world._replace(click_intercept=alpha, conversion_intercept=beta)

    def _logits(
        self, user: NDArray[np.int64], item: NDArray[np.int64]
    ) -> tuple[FloatArray, FloatArray]:
        world = self._world
        u, v = world.users.effects, world.items.effects
        mix = np.sqrt(1 - self.rho**2)
        liked = v[:, 2:][item]
        tastes, others = u[:, 2 : 2 + _TASTES], u[:, 2 + _TASTES :]
        additive = 1 - self.interaction
        by_item = np.sqrt(additive / (1 + _USER_TO_ITEM))
        by_user = np.sqrt(additive - by_item**2)
        by_taste = np.sqrt(self.interaction / _TASTES)
        click = by_user * u[:, 0][user] + by_item * v[:, 0][item]
        click += by_taste * np.einsum("nk,nk->n", tastes[user], liked)
        other = by_user * u[:, 1][user] + by_item * v[:, 1][item]
        other += by_taste * np.einsum("nk,nk->n", others[user], liked)
        a = world.click_intercept + self.click_slope * click
        b = world.conversion_intercept + self.conversion_slope * (self.rho * click + mix * other)
        return a, b

    def _log(
        self,
        user: NDArray[np.int64],
        item: NDArray[np.int64],
        click: NDArray[np.int64],
        potential: NDArray[np.int64],
    ) -> pd.DataFrame:
        world = self._world
        return pd.DataFrame(
            {
                "user_id": user,
                "user_segment": world.users.attributes[user, 0],
                "user_tier": world.users.attributes[user, 1],
                "item_id": item,
                "item_category": world.items.attributes[item, 0],
                "item_brand": world.items.attributes[item, 1],
                "price": world.price[item],
                "click": click,
                "conversion": click * potential,
            }
        )


def _draw(popularity: FloatArray, uniform: FloatArray) -> NDArray[np.int64]:
    cumulative = np.cumsum(popularity)
    index = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
    last = len(popularity) - 1
    drawn: NDArray[np.int64] = np.minimum(index, last).astype(np.int64)
    return drawn
