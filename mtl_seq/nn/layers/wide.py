"""Wide part: linear terms beside the deep network (Cheng et al., DLRS 2016).

Shapes: B rows, T towers.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtl_seq.features import FeatureSpec

__all__ = ["Wide"]


class Wide(nn.Module):
    """A weight per tower for every id and dense feature of ``spec.wide`` that the tower may see.

    The main effect of an id need not pass through experts and towers; on real logs this decides how
    well rare ids are ranked. Weights start at 0, so that the network starts as it would without
    them. It is built from the arguments of `Embedding`.
    """

    seen: Tensor
    offsets: Tensor

    def __init__(self, spec: FeatureSpec, towers: Mapping[str, str]) -> None:
        super().__init__()
        self.ids = tuple(name for name in spec.ids if name in spec.wide)
        self.dense = tuple(name for name in spec.dense if name in spec.wide)
        self.rows = {name: spec.ids[name] for name in self.ids}
        rows = list(self.rows.values())
        starts = [sum(rows[:index]) for index in range(len(rows))]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        hidden = [spec.hidden_from.get(stage, ()) for stage in towers.values()]
        visible = [
            [float(name not in unseen) for unseen in hidden] for name in (*self.ids, *self.dense)
        ]
        self.register_buffer("seen", torch.tensor(visible), persistent=False)
        self.table = nn.Embedding(sum(rows), len(towers)) if rows else None
        if self.table is not None:
            nn.init.zeros_(self.table.weight)
        self.weight = nn.Parameter(torch.zeros(len(self.dense), len(towers)))

    def place_of(self, name: str) -> tuple[nn.Embedding, int]:
        """The table of an id, and its first row there."""
        assert self.table is not None
        return self.table, int(self.offsets[self.ids.index(name)])

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Features by name -> ``(B, T)`` terms to add to the towers' logits."""
        count = len(self.ids)
        terms = []
        if self.table is not None:
            index = torch.stack([features[name] for name in self.ids], dim=1) + self.offsets
            terms.append((self.table(index) * self.seen[:count]).sum(1))
        if self.dense:
            columns = torch.stack([features[name] for name in self.dense], dim=1)
            weight = self.weight * self.seen[count:]
            terms.append(columns.to(weight.dtype) @ weight)
        return torch.stack(terms).sum(0)
