"""DBMTL: Deep Bayesian Multi-Target Learning (Wang et al., arXiv 1902.09154)."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.funnel import Funnel
from mtl_seq.nn.heads.base import TowerHead
from mtl_seq.nn.layers.mlp import MLP, Tower

__all__ = ["DBMTL"]


class DBMTL(TowerHead):
    """A Bayesian layer: a tower reads the hidden vectors of its parents in a graph of towers.

    For tower k with representation f_k and parents Pa(k): ``h_k = MLP(f_k)``,
    ``b_k = MLP([h_k, b_j for j in Pa(k)])``, ``logit_k = linear(b_k)``. Parents pass on hidden
    vectors, neither labels nor probabilities, so that a prediction needs no observed parent.

    The logits differ from the paper: here they are conditionals of the funnel, composed as those of
    the parallel head, so that the factorisation of ESMM holds and pCTCVR never exceeds pCTR. In the
    paper and in the reference (TorchEasyRec) each head is unconditional, over all impressions: its
    "conversion" is pCTCVR, nothing keeps that below pCTR, and it must not be compared with a pCVR.
    The reference also evaluates the towers in the order in which they are declared; here a parent
    may be declared after its child.

    Own features are concatenated between b_k and the logit, after the vector that is passed on, as
    they may be hidden from a child's stage. No published form has them.

    Args:
        parents: For a stage, or one tower of a mediated stage (``"buy|cart"``), the stages or
            towers whose vectors it reads; those that are absent read none. None for the
            funnel's: the stage it comes after and the mediators it passes.
        hidden: Widths of h_k; empty for the representation itself.
        relation: Widths of b_k; empty for the vectors side by side.
        readout: Widths of layers between ``[b_k, own]`` and the logit; empty as published.
        detach_parents: Whether the gradient of a child's loss stops at its parents' vectors; it
            does not in the paper.

    Raises:
        CompositionError: Parents that name no tower, or that form a cycle.
    """

    def __init__(
        self,
        funnel: Funnel,
        in_features: int,
        own: Mapping[str, int],
        *,
        parents: Mapping[str, Sequence[str]] | None = None,
        hidden: Sequence[int] = (32,),
        relation: Sequence[int] = (32,),
        readout: Sequence[int] = (),
        detach_parents: bool = False,
    ) -> None:
        super().__init__(funnel)
        self.parents = _parents_by_tower(funnel, parents)
        self.order = _in_order(self.parents)
        self.detach_parents = detach_parents
        self.hidden = nn.ModuleList(MLP(in_features, hidden) for _ in self.names)
        first = self.hidden[0]
        assert isinstance(first, MLP)
        widths: dict[str, int] = {}
        relations: dict[str, MLP] = {}
        for name in self.order:
            read = sum(widths[parent] for parent in self.parents[name])
            relations[name] = MLP(first.out_features + read, relation)
            widths[name] = relations[name].out_features
        self.relations = nn.ModuleList(relations[name] for name in self.names)
        self.towers = nn.ModuleList(
            Tower(widths[name] + own.get(name, 0), readout) for name in self.names
        )

    def forward(self, hidden: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        """``(B, T, D)`` and own features by tower -> ``(B, C)``."""
        rows = hidden.unbind(1)
        passed: dict[str, Tensor] = {}
        for name in self.order:
            index = self.names.index(name)
            read = [passed[parent] for parent in self.parents[name]]
            if self.detach_parents:
                read = [vector.detach() for vector in read]
            vector = self.hidden[index](rows[index])
            passed[name] = self.relations[index](torch.cat((vector, *read), dim=1))
        return self._logits([passed[name] for name in self.names], own)


def _parents_by_tower(
    funnel: Funnel, parents: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    """Parent towers by tower; a mediated stage stands for all its towers."""
    if parents is None:
        parents = {
            stage.name: ((stage.after,) if stage.after else ()) + stage.via
            for stage in funnel.stages
        }
    towers: dict[str, tuple[str, ...]] = {}
    for conditional in funnel.conditionals:
        towers[conditional.name] = (conditional.name,)
        if conditional.given is not None:
            towers[conditional.stage] = (*towers.get(conditional.stage, ()), conditional.name)
    by_tower: dict[str, list[str]] = {conditional.name: [] for conditional in funnel.conditionals}
    for child, read in parents.items():
        if isinstance(read, str):
            raise CompositionError(
                f"`parents` of {child!r} must be a list of stages, found the string {read!r}: "
                f"write [{read!r}]"
            )
        for name in (child, *read):
            if name not in towers:
                raise CompositionError(
                    f"`parents` must name stages or towers of the funnel {tuple(towers)}, "
                    f"found {name!r}"
                )
        for tower in towers[child]:
            by_tower[tower] += [name for parent in read for name in towers[parent]]
    return {tower: tuple(dict.fromkeys(read)) for tower, read in by_tower.items()}


def _in_order(parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The towers, each after all its parents."""
    try:
        return tuple(TopologicalSorter(parents).static_order())
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise CompositionError(
            f"`parents` must have no cycle, found {cycle}: remove one of these edges"
        ) from error
