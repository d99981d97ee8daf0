"""Exposure policies: items, positions and exposure propensities.

Shapes: R requests, M candidates of each, S slots of each.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from mtl_seq.records import FloatArray, IntArray
from mtl_seq.simulate.common.parameter_checks import ParameterError, check_choice, check_number
from mtl_seq.simulate.logistic.affinity import Affinity
from mtl_seq.simulate.logistic.inverse_cdf_sampler import InverseCdfSampler

__all__ = ["Exposure", "Slate"]

_POLICIES = ("uniform", "top_k", "epsilon_greedy")
_BLOCK = 500_000


class Slate(NamedTuple):
    """Items shown to requests, row by row and slot by slot; ``(R * S,)`` each.

    Attributes:
        item: Item in the slot.
        propensity: Its probability, given the candidates and the slots above.
    """

    item: IntArray
    propensity: FloatArray


@dataclass(frozen=True)
class Exposure:
    """An exposure policy: each request gets a slate; ``position`` is 1 for the top slot.

    The policies, for a request with M candidates drawn by the items' popularity (with replacement:
    in a small catalogue an item can occur twice) and a logging model that scores them by
    ``s = z_click``, the scenario's click score without `Context`:

    * ``"uniform"``: each slot shows an item by popularity; no logging model.
    * ``"top_k"``: the top S of ``strength * s + Gumbel noise``, so slot by slot
      ``P(i) = exp(strength * s_i) / sum over the candidates left`` (Plackett-Luce).
    * ``"epsilon_greedy"``: slot by slot the best candidate left, or with probability epsilon any
      one left: ``P(i) = (1 - epsilon) 1[i is the best left] + epsilon / (candidates left)``.

    The log's ``exposure_propensity`` is that P, for uniform the item's popularity: known to a real
    logging system. It is not the probability of a click, so it has no role in the schema. The click
    logit falls by ``position_effect * log(position)``, the conversion logit does not, and the
    schema hides ``position`` from all towers but the click's.

    Attributes:
        policy: One of the three.
        slots: S, in [1, 100].
        candidates: M, in [S, 10000].
        strength: Inverse temperature of the logging model, in [0, 50]; 0 shuffles the candidates.
        epsilon: In [0, 1].
        position_effect: In [-5, 5].

    Raises:
        ParameterError: One outside its range.
    """

    policy: Literal["uniform", "top_k", "epsilon_greedy"] = "uniform"
    slots: int = 10
    candidates: int = 50
    strength: float = 1.0
    epsilon: float = 0.1
    position_effect: float = 0.0

    def __post_init__(self) -> None:
        check_choice("exposure.policy", self.policy, _POLICIES)
        check_number("exposure.slots", self.slots, 1, 100, whole=True)
        check_number("exposure.candidates", self.candidates, 1, 10_000, whole=True)
        if self.candidates < self.slots:
            raise ParameterError.of(
                "exposure.candidates",
                f"must be at least the {self.slots} `slots`, found {self.candidates}",
            )
        check_number("exposure.strength", self.strength, 0, 50)
        check_number("exposure.epsilon", self.epsilon, 0, 1)
        check_number("exposure.position_effect", self.position_effect, -5, 5)

    def slates(
        self, user: IntArray, items: InverseCdfSampler, affinity: Affinity, rng: np.random.Generator
    ) -> Slate:
        """Draw a slate for each request.

        Args:
            user: ``(R,)`` users who make the requests.
            items: Popularity of the items.
            affinity: Scores of pairs, which the logging model ranks by.
            rng: The only source of randomness.
        """
        if self.policy == "uniform":
            item = items.draw(rng.random(len(user) * self.slots))
            return Slate(item, items.popularity[item])
        blocks = np.array_split(user, max(1, len(user) * self.candidates // _BLOCK))
        slates = [self._rank(block, items, affinity, rng) for block in blocks]
        item, propensity = (np.concatenate(parts) for parts in zip(*slates, strict=True))
        return Slate(item, propensity)

    def _rank(
        self, user: IntArray, items: InverseCdfSampler, affinity: Affinity, rng: np.random.Generator
    ) -> tuple[IntArray, FloatArray]:
        shape = (len(user), self.candidates)
        candidate = items.draw(rng.random(shape))
        requester = np.repeat(user, self.candidates)
        score = affinity.pair(requester, candidate.ravel())[0].reshape(shape)
        if self.policy == "top_k":
            chosen, propensity = self._top_k(score, rng)
        else:
            chosen, propensity = self._epsilon_greedy(score, rng)
        return np.take_along_axis(candidate, chosen, axis=1).ravel(), propensity.ravel()

    def _top_k(self, score: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        utility = self.strength * score
        order = np.argsort(-(utility + rng.gumbel(size=score.shape)), axis=1)
        utility -= utility.max(axis=1, keepdims=True)
        weight = np.take_along_axis(np.exp(utility), order, axis=1)
        left = np.cumsum(weight[:, ::-1], axis=1)[:, ::-1]
        return order[:, : self.slots], (weight / left)[:, : self.slots]

    def _epsilon_greedy(
        self, score: FloatArray, rng: np.random.Generator
    ) -> tuple[IntArray, FloatArray]:
        order = np.argsort(-score, axis=1)
        requests = np.arange(len(score))
        left = np.ones(score.shape, dtype=bool)
        chosen = np.empty((len(score), self.slots), dtype=np.int64)
        propensity = np.empty(chosen.shape)
        for slot in range(self.slots):
            many = self.candidates - slot
            # The which-th of those left, in the order of the scores; 0 is the best of them.
            which = (rng.random(len(score)) * many).astype(np.int64)
            which[rng.random(len(score)) >= self.epsilon] = 0
            rank = np.argmax(np.cumsum(left, axis=1) == which[:, None] + 1, axis=1)
            left[requests, rank] = False
            chosen[:, slot] = order[requests, rank]
            propensity[:, slot] = (1 - self.epsilon) * (which == 0) + self.epsilon / many
        return chosen, propensity
