"""Build a scenario from its parameters: population, affinities, and solved intercepts."""

from typing import NamedTuple

import numpy as np

from mtl_seq.records import FloatArray, IntArray
from mtl_seq.simulate.logistic.affinity import Affinity
from mtl_seq.simulate.logistic.integration_points import MAX_PAIRS, pair_points, sequence_points
from mtl_seq.simulate.logistic.intercepts import Targets, solve_intercepts
from mtl_seq.simulate.logistic.inverse_cdf_sampler import InverseCdfSampler
from mtl_seq.simulate.logistic.latent_effects import Entities, draw_entities, further_effects
from mtl_seq.simulate.logistic.logits import Intercepts, LogitModel
from mtl_seq.simulate.logistic.parameters import Parameters
from mtl_seq.simulate.logistic.sample_impressions import ImpressionSampler
from mtl_seq.simulate.logistic.sample_outcomes import OutcomeSampler

__all__ = ["Scenario", "build"]

# Streams of the scenario's seed; the first is the seed itself.
_FURTHER, _CONFOUNDER, _DIRECTIONS, _POLICY = 1, 2, 3, 4


class Scenario(NamedTuple):
    """A scenario built from its parameters.

    Attributes:
        user_attributes: ``(U, A)``.
        item_attributes: ``(I, A)``.
        price: ``(I,)``.
        impressions: Samples impressions.
        outcomes: Samples their outcomes.
    """

    user_attributes: IntArray
    item_attributes: IntArray
    price: FloatArray
    impressions: ImpressionSampler
    outcomes: OutcomeSampler


def build(parameters: Parameters) -> Scenario:
    """Draw the scenario's population and solve its intercepts.

    Raises:
        SimulationError: Rates that no intercept reaches, or too few users or items.
    """
    rng = np.random.default_rng(parameters.seed)
    users, items = _population(parameters, rng)
    # The price is correlated with the item's conversion effect, as prices are.
    log_price = 0.6 * items.effects[:, 1] + 0.8 * rng.standard_normal(parameters.items)
    price = np.round(np.exp(3 + 0.5 * log_price), 2).astype(np.float64)
    affinity = _affinity(parameters, users, items)
    context = parameters.context
    impressions = ImpressionSampler(
        InverseCdfSampler(users.popularity),
        InverseCdfSampler(items.popularity),
        affinity,
        parameters.exposure,
        parameters.days,
        context.features if context is not None else 0,
    )
    logit_model = LogitModel(
        affinity,
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
    user_confounder = None
    if parameters.loadings != (0, 0) and parameters.confounder_per == "user":
        # Independent of all attributes; standardised exactly under the users' popularity.
        drawn = _stream(parameters, _CONFOUNDER).standard_normal(parameters.users)
        centred = drawn - users.popularity @ drawn
        user_confounder = centred / np.sqrt(users.popularity @ centred**2)
    intercepts = _intercepts(parameters, impressions, logit_model, user_confounder)
    outcomes = OutcomeSampler(
        logit_model._replace(intercepts=intercepts),
        parameters.mnar,
        (float(parameters.loadings[0]), float(parameters.loadings[1])),
        user_confounder,
        parameters.delay,
        0.0 if parameters.delay is None else parameters.delay.read_on(parameters.days),
    )
    return Scenario(users.attributes, items.attributes, price, impressions, outcomes)


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


def _affinity(parameters: Parameters, users: Entities, items: Entities) -> Affinity:
    more = (parameters.drift is not None) + _count(parameters)
    rng = _stream(parameters, _FURTHER)
    further = [np.zeros((0, 0)), np.zeros((0, 0))]
    if more:
        levels = (tuple(parameters.user_attributes), tuple(parameters.item_attributes))
        further = [
            further_effects(entities, sizes, more, id_share=parameters.id_effects, rng=rng)
            for entities, sizes in zip((users, items), levels, strict=True)
        ]
    return Affinity(users.effects, items.effects, parameters.interaction, *further)


def _intercepts(
    parameters: Parameters,
    impressions: ImpressionSampler,
    logit_model: LogitModel,
    user_confounder: FloatArray | None,
) -> Intercepts:
    targets = Targets(parameters.ctr, parameters.cvr, parameters.cvr_over == "clicks")
    loadings = parameters.loadings
    shift = None
    if user_confounder is not None:
        shift, loadings = np.outer(loadings, user_confounder), (0.0, 0.0)
    mechanisms = (parameters.exposure, parameters.context, parameters.actions, parameters.drift)
    if mechanisms == (None,) * 4 and parameters.users * parameters.items <= MAX_PAIRS:
        points = pair_points(impressions, logit_model, shift)
    else:
        seed = [parameters.seed, _POLICY]
        points = sequence_points(impressions, logit_model, shift, loadings, seed)
        loadings = (0.0, 0.0)
    return solve_intercepts(
        points, targets, mnar=parameters.mnar, loadings=loadings, actions=parameters.actions
    )


def _stream(parameters: Parameters, which: int) -> np.random.Generator:
    return np.random.default_rng([parameters.seed, which])


def _count(parameters: Parameters) -> int:
    return 0 if parameters.actions is None else len(parameters.actions.names)
