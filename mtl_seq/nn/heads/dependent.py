"""Head for stages that depend on each other given the features."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.funnel import Funnel
from mtl_seq.nn.compose.compose_dependent import compose_dependent
from mtl_seq.nn.heads.base import Head
from mtl_seq.nn.heads.parallel import ParallelHead
from mtl_seq.nn.layers.mlp import Tower

__all__ = ["DependentHead"]


class DependentHead(Head):
    """Parallel towers, and lambda: the log odds ratio of each stage with its potential successor.

    See `compose_dependent`. lambda starts at 0, where the head is a `ParallelHead`. It needs a
    feature that moves clicks only (``Schema(click_only=[...])``): without one it is hardly
    identified, and its trained value can be far worse than lambda = 0.

    lambda can only be learned once the towers are trained, and its optimum is farther from its
    start than a weight's. So it gets no gradient in the first training steps, and then a learning
    rate `rate` times that of the weights; its weight decay is the optimiser's.

    Args:
        hidden: Widths of a tower's layers before its logit.
        dependence: Widths of the layers of a tower that adds lambda(x), on the representation of
            the edge's later stage; empty for a linear one, None for one number per edge.
        log_odds_ratio: Initial lambda of every edge, or one for each.
        learned: Whether lambda is trained.
        hold: Training steps during which lambda stays fixed.
        rate: Learning rate of lambda, relative to that of the weights.

    Raises:
        CompositionError: A funnel that is no chain of two or more stages, or another number of
            lambdas than edges.
    """

    compose = staticmethod(compose_dependent)
    independent = False
    passes: Tensor

    def __init__(
        self,
        funnel: Funnel,
        in_features: int,
        own: Mapping[str, int],
        *,
        hidden: Sequence[int] = (32,),
        dependence: Sequence[int] | None = None,
        log_odds_ratio: float | Sequence[float] = 0.0,
        learned: bool = True,
        hold: int = 200,
        rate: float = 4.0,
    ) -> None:
        super().__init__()
        edges = len(funnel.stages) - 1
        if edges < 1 or funnel != Funnel.chain(*funnel.names):
            raise CompositionError(
                "`funnel` must be a chain of two or more stages for a dependence, found "
                f"{funnel.to_dict()}: build it from the first stage and the one of interest"
            )
        start = (
            [float(log_odds_ratio)] * edges
            if isinstance(log_odds_ratio, int | float)
            else [*log_odds_ratio]
        )
        if len(start) != edges:
            raise CompositionError(
                f"`log_odds_ratio` must hold {edges} numbers, one per edge, found {start}"
            )
        self.towers = ParallelHead(funnel, in_features, own, hidden=hidden)
        self.rate, self.hold = rate, hold
        # Divided by the rate: a step of the optimiser moves lambda by `rate` times as much.
        value = torch.tensor(start) / rate
        if learned:
            self.log_odds_ratio = nn.Parameter(value)
            self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        else:
            self.register_buffer("log_odds_ratio", value)
        self.learned = learned
        shapes = [] if dependence is None else [dependence] * edges
        self.edges = nn.ModuleList(Tower(in_features, widths) for widths in shapes)
        for tower in self.edges:
            assert isinstance(tower, Tower)
            nn.init.zeros_(tower.logit.weight)

    def forward(self, hidden: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        """``(B, K, D)`` and own features by tower -> ``(B, 2 K - 1)``: logits, then lambdas."""
        logits: Tensor = self.towers(hidden, own)
        log_odds_ratio = (
            (self.rate * self.log_odds_ratio).to(logits.dtype).expand(logits.shape[0], -1)
        )
        if len(self.edges):
            later = [tower(hidden[:, k + 1]) for k, tower in enumerate(self.edges)]
            log_odds_ratio = log_odds_ratio + torch.stack(later, dim=1)
        if self.learned and self.training:
            self.passes += 1
            moves = (self.passes > self.hold).to(log_odds_ratio.dtype)
            log_odds_ratio = log_odds_ratio.detach() + moves * (
                log_odds_ratio - log_odds_ratio.detach()
            )
        return torch.cat((logits, log_odds_ratio), dim=1)

    def fix_at(self, log_odds_ratio: float | Sequence[float]) -> None:
        """Set lambda, one for all edges or one for each, and exclude it from training."""
        with torch.no_grad():
            self.log_odds_ratio.copy_(
                torch.as_tensor(log_odds_ratio).expand_as(self.log_odds_ratio) / self.rate
            )
        # A tower lambda(x) whose last layer is 0 contributes nothing.
        for parameter in self.edges.parameters():
            parameter.requires_grad_(False)
        self.log_odds_ratio.requires_grad_(False)

    def start_at(self, rates: Mapping[str, float]) -> None:
        """Set the towers' biases; lambda is left unchanged."""
        self.towers.start_at(rates)
