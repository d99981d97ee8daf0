"""A world from its knobs: who is in it, what they like, and intercepts that hit its rates."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.simulate._effects import Entities, draw_entities, further_effects
from mtl_seq.simulate._happening import Happening
from mtl_seq.simulate._intercepts import Targets, solve_intercepts
from mtl_seq.simulate._knobs import Knobs
from mtl_seq.simulate._law import Intercepts, Law
from mtl_seq.simulate._pilot import MOST_PAIRS, pairs, points
from mtl_seq.simulate._preferences import Preferences
from mtl_seq.simulate._showing import Showing
from mtl_seq.simulate._wheel import Wheel

__all__ = ["World", "build"]

FloatArray = NDArray[np.float64]

# Streams of the world's seed; the first is the seed itself.
_FURTHER, _CONFOUNDER, _DIRECTIONS, _PILOT = 1, 2, 3, 4


class World(NamedTuple):
    """A world as its knobs made it.

    Attributes:
        user_attributes: ``(U, A)``.
        item_attributes: ``(I, A)``.
        price: ``(I,)``.
        showing: How impressions come about.
        happening: What happens to them.
    """

    user_attributes: NDArray[np.int64]
    item_attributes: NDArray[np.int64]
    price: FloatArray
    showing: Showing
    happening: Happening


def build(knobs: Knobs) -> World:
    """Draw the world's population and solve its intercepts.

    Raises:
        SimulationError: Rates that no intercept reaches, or too few users or items.
    """
    rng = np.random.default_rng(knobs.seed)
    users, items = _population(knobs, rng)
    # A price that tells something of the item's conversion effect, as prices do.
    told = 0.6 * items.effects[:, 1] + 0.8 * rng.standard_normal(knobs.items)
    price = np.round(np.exp(3 + 0.5 * told), 2).astype(np.float64)
    preferences = _preferences(knobs, users, items)
    context = knobs.context
    showing = Showing(
        Wheel(users.popularity),
        Wheel(items.popularity),
        preferences,
        knobs.exposure,
        knobs.days,
        context.features if context is not None else 0,
    )
    law = Law(
        preferences,
        knobs.rho,
        (knobs.click_slope, knobs.conversion_slope),
        knobs.curvature,
        0.0 if knobs.exposure is None else knobs.exposure.position_effect,
        None if context is None else context.directions(knobs.rho, _stream(knobs, _DIRECTIONS)),
        knobs.drift,
        knobs.actions,
        Intercepts(actions=(0.0,) * _count(knobs)),
    )
    by_user = None
    if knobs.loadings != (0, 0) and knobs.confounder_per == "user":
        # Nobody's attributes tell it, and over impressions it is as centred as it is in theory.
        drawn = _stream(knobs, _CONFOUNDER).standard_normal(knobs.users)
        centred = drawn - users.popularity @ drawn
        by_user = centred / np.sqrt(users.popularity @ centred**2)
    happening = Happening(
        law._replace(intercepts=_solve(knobs, showing, law, by_user)),
        knobs.mnar,
        (float(knobs.loadings[0]), float(knobs.loadings[1])),
        by_user,
        knobs.delay,
        0.0 if knobs.delay is None else knobs.delay.read_on(knobs.days),
    )
    return World(users.attributes, items.attributes, price, showing, happening)


def _population(knobs: Knobs, rng: np.random.Generator) -> tuple[Entities, Entities]:
    users = draw_entities(
        knobs.users,
        tuple(knobs.user_attributes),
        2 + 2 * knobs.tastes,
        id_share=knobs.id_effects,
        exponent=knobs.user_zipf,
        rng=rng,
    )
    items = draw_entities(
        knobs.items,
        tuple(knobs.item_attributes),
        2 + knobs.tastes,
        id_share=knobs.id_effects,
        exponent=knobs.item_zipf,
        rng=rng,
    )
    return users, items


def _preferences(knobs: Knobs, users: Entities, items: Entities) -> Preferences:
    more = (knobs.drift is not None) + _count(knobs)
    rng = _stream(knobs, _FURTHER)
    further = [np.zeros((0, 0)), np.zeros((0, 0))]
    if more:
        levels = (tuple(knobs.user_attributes), tuple(knobs.item_attributes))
        further = [
            further_effects(entities, sizes, more, id_share=knobs.id_effects, rng=rng)
            for entities, sizes in zip((users, items), levels, strict=True)
        ]
    return Preferences(users.effects, items.effects, knobs.interaction, *further)


def _solve(knobs: Knobs, showing: Showing, law: Law, by_user: FloatArray | None) -> Intercepts:
    targets = Targets(knobs.ctr, knobs.cvr, knobs.cvr_over == "clicks")
    loadings = knobs.loadings
    shift = None
    if by_user is not None:
        shift, loadings = np.outer(loadings, by_user), (0.0, 0.0)
    mechanisms = (knobs.exposure, knobs.context, knobs.actions, knobs.drift)
    if mechanisms == (None,) * 4 and knobs.users * knobs.items <= MOST_PAIRS:
        pilot = pairs(showing, law, shift)
    else:
        pilot = points(showing, law, shift, loadings, [knobs.seed, _PILOT])
        loadings = (0.0, 0.0)
    return solve_intercepts(
        pilot, targets, mnar=knobs.mnar, loadings=loadings, actions=knobs.actions
    )


def _stream(knobs: Knobs, which: int) -> np.random.Generator:
    return np.random.default_rng([knobs.seed, which])


def _count(knobs: Knobs) -> int:
    return 0 if knobs.actions is None else len(knobs.actions.names)
