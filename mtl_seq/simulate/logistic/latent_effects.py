"""Users and items of a scenario: popularity, attributes, and effects with exact moments.

Shapes: M entities (users or items), D effects, A attributes.
"""

from typing import NamedTuple

import numpy as np

from mtl_seq.errors import SimulationError
from mtl_seq.records import FloatArray, IntArray

__all__ = ["Entities", "draw_entities", "further_effects", "zipf"]


class Entities(NamedTuple):
    """Users or items.

    Attributes:
        popularity: ``(M,)`` probabilities of an impression.
        attributes: ``(M, A)`` int64 levels that the log shows.
        effects: ``(M, D)`` with mean 0, variance 1 and no correlation, all under `popularity`.
    """

    popularity: FloatArray
    attributes: IntArray
    effects: FloatArray


def zipf(count: int, exponent: float) -> FloatArray:
    """Probabilities proportional to ``rank ** -exponent``."""
    weight: FloatArray = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    weight /= weight.sum()
    return weight


def draw_entities(
    count: int,
    levels: tuple[int, ...],
    effects: int,
    *,
    id_share: float,
    exponent: float,
    rng: np.random.Generator,
) -> Entities:
    """Draw entities whose effects are partly explained by their attributes.

    Args:
        count: M.
        levels: Number of levels of each attribute.
        effects: D.
        id_share: Share of the effects' variance, in [0, 1], that no attribute explains.
        exponent: Zipf exponent of the popularity.
        rng: Source of randomness.

    Returns:
        The entities; moments of the effects are exact, not expected.

    Raises:
        SimulationError: Too few entities or levels for that many uncorrelated effects.
    """
    popularity = zipf(count, exponent)
    attributes = np.stack([rng.integers(size, size=count) for size in levels], axis=1)
    raw = _raw(attributes, levels, effects, id_share, rng)
    return Entities(popularity, attributes, _whiten(raw, popularity, count))


def further_effects(
    entities: Entities,
    levels: tuple[int, ...],
    effects: int,
    *,
    id_share: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw further effects of the same entities, uncorrelated with their present ones.

    Arguments and errors are those of `draw_entities`. ``(M, effects)``, with mean 0 and variance 1
    under the popularity; the entities are unchanged.
    """
    raw = _raw(entities.attributes, levels, effects, id_share, rng)
    # Whitening goes column by column, so the existing effects in front stay unchanged.
    both = np.concatenate([entities.effects, raw], axis=1)
    return _whiten(both, entities.popularity, len(raw))[:, -effects:]


def _raw(
    attributes: IntArray,
    levels: tuple[int, ...],
    effects: int,
    id_share: float,
    rng: np.random.Generator,
) -> FloatArray:
    explained = np.zeros((len(attributes), effects))
    for column, size in enumerate(levels):
        explained += rng.standard_normal((size, effects))[attributes[:, column]]
    explained /= np.sqrt(len(levels))
    individual = rng.standard_normal((len(attributes), effects))
    raw: FloatArray = np.sqrt(1 - id_share) * explained + np.sqrt(id_share) * individual
    return raw


def _whiten(raw: FloatArray, weight: FloatArray, count: int) -> FloatArray:
    centred = raw - weight @ raw
    covariance = centred.T @ (weight[:, None] * centred)
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        root = None
    if root is None or np.diag(root).min() < 1e-6:
        raise SimulationError(
            f"`users` and `items` must be enough for {raw.shape[1]} uncorrelated effects, found "
            f"{count}: ask for more of them, or raise `id_effects`"
        )
    return np.linalg.solve(root, centred.T).T
