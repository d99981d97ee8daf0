"""A scenario from its parameters: who is in it, what they like, and intercepts that hit its rates."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.simulate.logistic.affinity import Preferences
from mtl_seq.simulate.logistic.integration_points import MOST_PAIRS, pairs, points
from mtl_seq.simulate.logistic.intercepts import Targets, solve_intercepts
from mtl_seq.simulate.logistic.inverse_cdf_sampler import Wheel
from mtl_seq.simulate.logistic.latent_effects import Entities, draw_entities, further_effects
from mtl_seq.simulate.logistic.logits import Intercepts, Law
from mtl_seq.simulate.logistic.parameters import Parameters
from mtl_seq.simulate.logistic.sample_impressions import Showing
from mtl_seq.simulate.logistic.sample_outcomes import Happening

__all__ = ["Scenario", "build"]

FloatArray = NDArray[np.float64]

# Streams of the scenario's seed; the first is the seed itself.
_FURTHER, _CONFOUNDER, _DIRECTIONS, _PILOT = 1, 2, 3, 4


class Scenario(NamedTuple):
    """A scenario as its parameters made it.

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


def build(parameters: Parameters) -> Scenario:
    """Draw the scenario's population and solve its intercepts.

    Raises:
        SimulationError: Rates that no intercept reaches, or too few users or items.
    """
    rng = np.random.default_rng(parameters.seed)
    users, items = _population(parameters, rng)
    # A price that tells something of the item's conversion effect, as prices do.
    told = 0.6 * items.effects[:, 1] + 0.8 * rng.standard_normal(parameters.items)
    price = np.round(np.exp(3 + 0.5 * told), 2).astype(np.float64)
    preferences = _preferences(parameters, users, items)
    context = parameters.context
    showing = Showing(
        Wheel(users.popularity),
        Wheel(items.popularity),
        preferences,
        parameters.exposure,
        parameters.days,
        context.features if context is not None else 0,
    )
    law = Law(
        preferences,
        parameters.rho,
        (parameters.click_slope, parameters.conversion_slope),
        parameters.curvature,
        0.0 if parameters.exposure is None else parameters.exposure.position_effect,
        None
        if context is None
        else context.directions(parameters.rho, _stream(parameters, _DIRECTIONS)),
        parameters.drift,
        parameters.actions,
        Intercepts(actions=(0.0,) * _count(parameters)),
    )
    by_user = None
    if parameters.loadings != (0, 0) and parameters.confounder_per == "user":
        # Nobody's attributes tell it, and over impressions it is as centred as it is in theory.
        drawn = _stream(parameters, _CONFOUNDER).standard_normal(parameters.users)
        centred = drawn - users.popularity @ drawn
        by_user = centred / np.sqrt(users.popularity @ centred**2)
    happening = Happening(
        law._replace(intercepts=_solve(parameters, showing, law, by_user)),
        parameters.mnar,
        (float(parameters.loadings[0]), float(parameters.loadings[1])),
        by_user,
        parameters.delay,
        0.0 if parameters.delay is None else parameters.delay.read_on(parameters.days),
    )
    return Scenario(users.attributes, items.attributes, price, showing, happening)


def _population(parameters: Parameters, rng: np.random.Generator) -> tuple[Entities, Entities]:
    users = draw_entities(
        parameters.users,
        tuple(parameters.user_attributes),
        2 + 2 * parameters.tastes,
        id_share=parameters.id_effects,
        exponent=parameters.user_zipf,
        rng=rng,
    )
    items = draw_entities(
        parameters.items,
        tuple(parameters.item_attributes),
        2 + parameters.tastes,
        id_share=parameters.id_effects,
        exponent=parameters.item_zipf,
        rng=rng,
    )
    return users, items


def _preferences(parameters: Parameters, users: Entities, items: Entities) -> Preferences:
    more = (parameters.drift is not None) + _count(parameters)
    rng = _stream(parameters, _FURTHER)
    further = [np.zeros((0, 0)), np.zeros((0, 0))]
    if more:
        levels = (tuple(parameters.user_attributes), tuple(parameters.item_attributes))
        further = [
            further_effects(entities, sizes, more, id_share=parameters.id_effects, rng=rng)
            for entities, sizes in zip((users, items), levels, strict=True)
        ]
    return Preferences(users.effects, items.effects, parameters.interaction, *further)


def _solve(
    parameters: Parameters, showing: Showing, law: Law, by_user: FloatArray | None
) -> Intercepts:
    targets = Targets(parameters.ctr, parameters.cvr, parameters.cvr_over == "clicks")
    loadings = parameters.loadings
    shift = None
    if by_user is not None:
        shift, loadings = np.outer(loadings, by_user), (0.0, 0.0)
    mechanisms = (parameters.exposure, parameters.context, parameters.actions, parameters.drift)
    if mechanisms == (None,) * 4 and parameters.users * parameters.items <= MOST_PAIRS:
        pilot = pairs(showing, law, shift)
    else:
        pilot = points(showing, law, shift, loadings, [parameters.seed, _PILOT])
        loadings = (0.0, 0.0)
    return solve_intercepts(
        pilot, targets, mnar=parameters.mnar, loadings=loadings, actions=parameters.actions
    )


def _stream(parameters: Parameters, which: int) -> np.random.Generator:
    return np.random.default_rng([parameters.seed, which])


def _count(parameters: Parameters) -> int:
    return 0 if parameters.actions is None else len(parameters.actions.names)
