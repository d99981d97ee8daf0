"""The funnel network: embedding, bottom, head, and the extra towers that a loss needs."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError, DataError
from mtl_seq.funnel import Funnel
from mtl_seq.nn.bottoms import Bottom, BottomFactory
from mtl_seq.nn.heads import Head, HeadFactory, ParallelHead, join_own
from mtl_seq.nn.layers.embedding import Embedding, TowerEmbeddings
from mtl_seq.nn.layers.mlp import Tower
from mtl_seq.nn.layers.wide import Wide
from mtl_seq.records import FunnelPrediction
from mtl_seq.schema import FeatureSpec

__all__ = ["EmbeddingFactory", "FunnelNetwork"]

EmbeddingFactory = Callable[[FeatureSpec, Mapping[str, str]], Embedding | TowerEmbeddings]
"""Builds an embedding from the features and, by tower, the stage whose features it sees."""


class FunnelNetwork(nn.Module):
    """Map features to a `FunnelPrediction`. The network never sees a label.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom.
        head: Builds the head.
        aux: Names of extra towers. Each reads its representation from the bottom, sees every
            feature that ``spec.hidden_from`` does not hide from its name, and emits a logit into
            ``prediction.aux``.
        embedding: Builds the embedding: `Embedding`, or `TowerEmbeddings` for tables per tower.
        aux_hidden: Widths of an extra tower's layers.

    Raises:
        CompositionError: A stage or feature that does not exist, no feature that all towers see,
            or embeddings per tower under a bottom that takes one input for all.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        *,
        funnel: Funnel,
        bottom: BottomFactory,
        head: HeadFactory = ParallelHead,
        aux: Sequence[str] = (),
        embedding: EmbeddingFactory = Embedding,
        aux_hidden: Sequence[int] = (32,),
    ) -> None:
        super().__init__()
        _check(spec, funnel, aux)
        towers = {conditional.name: conditional.stage for conditional in funnel.conditionals}
        towers |= {name: name for name in aux}
        self.funnel = funnel
        self.features = spec.features
        self.aux = tuple(aux)
        self.bottom = bottom(spec.width(spec.shared), len(towers))
        self.embedding = embedding(spec, towers)
        if isinstance(self.embedding, TowerEmbeddings) and not self.bottom.per_tower:
            raise CompositionError(
                f"`embedding` has tables per tower, but {type(self.bottom).__name__} takes one "
                "input for all towers: wrap it, `bottom=partial(SingleTask, bottom=...)`"
            )
        own = {tower: spec.width(spec.own(stage)) for tower, stage in towers.items()}
        self.head = head(funnel, self.bottom.out_features, own)
        self.wide = Wide(spec, towers) if spec.wide else None
        self.aux_towers = nn.ModuleDict(
            {name: Tower(self.bottom.out_features + own[name], aux_hidden) for name in aux}
        )

    def forward(self, features: Mapping[str, Tensor]) -> FunnelPrediction:
        """Map features by name, ``(B,)`` each, to the prediction of B rows.

        Raises:
            DataError: A feature is absent.
        """
        absent = [name for name in self.features if name not in features]
        if absent:
            raise DataError(
                f"`features` must hold {absent}, found {sorted(features)}: name them as the "
                "FeatureSpec does"
            )
        shared, own = self.embedding(features)
        if torch.is_autocast_enabled(shared.device.type):
            # Cast once, not again for every expert and gate.
            shared = shared.to(torch.get_autocast_dtype(shared.device.type))
        rows = self._bottom().rows(self._input(shared))
        conditionals = len(rows) - len(self.aux)
        logits = self._head().read(rows[:conditionals], own)
        aux = {
            name: tower(join_own(rows[conditionals + index], own.get(name)))
            for index, (name, tower) in enumerate(self.aux_towers.items())
        }
        if self.wide is not None:
            terms = self.wide(features)
            logits = self._widened(logits, terms, conditionals)
            aux = {
                name: logit + terms[:, conditionals + index]
                for index, (name, logit) in enumerate(aux.items())
            }
        return type(self.head).compose(self.funnel, logits, aux)

    def at_levels(
        self, features: Mapping[str, Tensor], levels: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Evaluate the first tower at every value of features that only it sees.

        The bottom and the other towers run once.

        Args:
            features: By name, ``(B,)`` each.
            levels: By name of such a feature, ``(K,)`` values.

        Returns:
            ``(B, K)`` logits of the first tower, and ``(B,)`` logit of pCVR.
        """
        shared, _ = self.embedding(features)
        hidden: Tensor = self.bottom(self._input(shared))
        conditionals = hidden.shape[1] - len(self.aux)
        hidden = hidden[:, :conditionals]
        rows, count = hidden.shape[0], len(next(iter(levels.values())))
        click_logits = []
        for k in range(count):
            level = {name: values[k].expand(rows) for name, values in levels.items()}
            at_level = {**features, **level}
            logits = self.head(hidden, self.embedding(at_level)[1])
            if self.wide is not None:
                logits = self._widened(logits, self.wide(at_level), conditionals)
            click_logits.append(logits[:, 0])
        pcvr_logit = type(self.head).compose(self.funnel, logits, {}).pcvr_logit
        return torch.stack(click_logits, dim=1), pcvr_logit

    @staticmethod
    def _widened(logits: Tensor, terms: Tensor, towers: int) -> Tensor:
        """Add linear terms to the towers' logits; columns behind those belong to no tower."""
        return torch.cat((logits[:, :towers] + terms[:, :towers], logits[:, towers:]), dim=1)

    def start_at(self, rates: Mapping[str, float]) -> None:
        """Initialise the towers' biases at the log's rates instead of one half.

        At a CTR of a few percent the first hundreds of steps would otherwise go into the
        intercepts, and a counterfactual loss would meanwhile divide by propensities of one half.

        Args:
            rates: By name of a conditional or an extra tower, in (0, 1); see `base_rates`.
        """
        self.head.start_at(rates)
        for name, tower in self.aux_towers.items():
            assert isinstance(tower, Tower)
            if name in rates:
                tower.start_at(rates[name])

    def gates(self, features: Mapping[str, Tensor]) -> Tensor:
        """Features by name -> ``(B, T, E)``: each tower's share of each expert; rows add up to 1.

        Towers are in the order of `towers`.

        Raises:
            CompositionError: The bottom mixes no experts.
        """
        shared, _ = self.embedding(features)
        return self._bottom().gates(self._input(shared))

    @property
    def towers(self) -> tuple[str, ...]:
        """Names of the towers: the funnel's conditionals, then the extra ones."""
        return (*(conditional.name for conditional in self.funnel.conditionals), *self.aux)

    def _bottom(self) -> Bottom:
        assert isinstance(self.bottom, Bottom)
        return self.bottom

    def _head(self) -> Head:
        assert isinstance(self.head, Head)
        return self.head

    def _input(self, shared: Tensor) -> Tensor:
        if self._bottom().per_tower and shared.dim() == 2:
            return shared.unsqueeze(1).expand(-1, len(self.towers), -1)
        return shared


def _check(spec: FeatureSpec, funnel: Funnel, aux: Sequence[str]) -> None:
    if len(funnel.stages) < 2:
        raise CompositionError(
            f"`funnel` must have at least two stages, such as click and conversion, found "
            f"{funnel.names}"
        )
    if not spec.shared:
        raise CompositionError(
            "every feature is hidden from some stage, so the bottom has no input: leave at least "
            f"one feature visible to all of {funnel.names}"
        )
    for stage in spec.hidden_from:
        if stage not in (*funnel.names, *aux):
            raise CompositionError(
                f"`hidden_from` of the features names {stage!r}, which is neither a stage of the "
                f"funnel {funnel.names} nor an extra tower {tuple(aux)}"
            )
    for name in aux:
        if name in {conditional.name for conditional in funnel.conditionals}:
            raise CompositionError(
                f"extra tower {name!r} must have a name that no tower of the funnel has"
            )
