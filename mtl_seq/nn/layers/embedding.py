"""Embeddings: features to the shared input, and to the features of single towers.

Shapes: B rows, T towers, F width of the shared input, F_t of a tower's own, L length of a bag.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_seq.errors import DataError
from mtl_seq.schema import FeatureSpec

__all__ = ["Embedding", "TowerEmbeddings"]

_INITIAL_STD = 0.05


class _Lookup(nn.Module):
    """Embedding tables of some features of a spec.

    Ids and bags of one embedding size share a table, each with a separate range of rows: one gather
    for all of them is several times faster than one each.
    """

    def __init__(self, spec: FeatureSpec, names: Sequence[str]) -> None:
        super().__init__()
        self.dense = tuple(name for name in names if name in spec.dense)
        self.bags = tuple(name for name in names if name in spec.bags)
        self.ids = tuple(name for name in names if name in spec.ids)
        sizes = sorted({spec.size(name) for name in (*self.ids, *self.bags)})
        self.groups = {
            size: tuple(name for name in self.ids if spec.size(name) == size) for size in sizes
        }
        rows = {**spec.ids, **spec.bags}
        self.rows = {name: rows[name] for name in (*self.ids, *self.bags)}
        self.tables = nn.ModuleDict()
        self.size_of_bag = {name: spec.size(name) for name in self.bags}
        self.summed = tuple(name for name in self.bags if spec.pooling.get(name) == "sum")
        self.weighted = tuple(name for name in self.bags if name in spec.weighted)
        self.numeric = (
            nn.ModuleDict({str(i): NumericVector(spec.numeric) for i, _ in enumerate(self.dense)})
            if spec.numeric
            else None
        )
        self.start_of_bag: dict[str, int] = {}
        self.place: dict[str, tuple[int, int]] = {}
        for size in sizes:
            self._build_group(size)

    def _build_group(self, size: int) -> None:
        start, starts = 0, []
        for position, name in enumerate(self.groups[size]):
            self.place[name] = (size, position)
            starts.append(start)
            start += self.rows[name]
        self.register_buffer(f"offset_{size}", torch.tensor(starts), persistent=False)
        limits = [self.rows[name] for name in self.groups[size]]
        self.register_buffer(f"limit_{size}", torch.tensor(limits), persistent=False)
        for name in self.bags:
            if self.size_of_bag[name] == size:
                self.start_of_bag[name] = start
                start += self.rows[name]
        table = nn.Embedding(start, size)
        nn.init.normal_(table.weight, std=_INITIAL_STD)
        self.tables[str(size)] = table

    def place_of(self, name: str) -> tuple[nn.Embedding, int]:
        """The table of an id or a bag, and its first row in it."""
        if name in self.start_of_bag:
            size, start = self.size_of_bag[name], self.start_of_bag[name]
        else:
            size, position = self.place[name]
            start = int(self.get_buffer(f"offset_{size}")[position])
        table = self.tables[str(size)]
        assert isinstance(table, nn.Embedding)
        return table, start

    def forward(self, features: Mapping[str, Tensor]) -> dict[int, Tensor]:
        """Look up the ids: size -> ``(B, number of ids of that size, size)``."""
        vectors = {}
        for size, names in self.groups.items():
            if names:
                index = torch.stack([features[name] for name in names], dim=1)
                self._check_range(index, self.get_buffer(f"limit_{size}"), names)
                vectors[size] = self.tables[str(size)](index + self.get_buffer(f"offset_{size}"))
        return vectors

    def assemble(
        self, names: Sequence[str], vectors: dict[int, Tensor], features: Mapping[str, Tensor]
    ) -> Tensor:
        """Concatenate some features, in this order: ids, bags, dense."""
        parts = []
        for size, start, stop in self._runs([name for name in names if name in self.place]):
            parts.append(vectors[size][:, start:stop].flatten(1))
        parts += [
            self._bag(
                name, features[name], features[f"{name}:weight"] if name in self.weighted else None
            )
            for name in names
            if name in self.start_of_bag
        ]
        dense = [self._dense(name, features[name]) for name in names if name in self.dense]
        if dense:
            column = torch.cat(dense, dim=1)
            parts.append(column.to(parts[0].dtype) if parts else column)
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _runs(self, names: Sequence[str]) -> list[tuple[int, int, int]]:
        """Runs of neighbours within a table, so that a contiguous block stays a view."""
        runs: list[tuple[int, int, int]] = []
        for name in names:
            size, position = self.place[name]
            if runs and runs[-1][0] == size and runs[-1][2] == position:
                runs[-1] = (size, runs[-1][1], position + 1)
            else:
                runs.append((size, position, position + 1))
        return runs

    def _dense(self, name: str, value: Tensor) -> Tensor:
        column = value.unsqueeze(1)
        if self.numeric is None:
            return column
        vector: Tensor = self.numeric[str(self.dense.index(name))](column)
        return vector

    def _bag(self, name: str, index: Tensor, weight: Tensor | None) -> Tensor:
        present = index >= 0
        share = present if weight is None else present * weight
        self._check_range(index.clamp_min(0), index.new_tensor(self.rows[name]), (name,))
        table = self.tables[str(self.size_of_bag[name])]
        vectors = table(index.clamp_min(0) + self.start_of_bag[name]) * share.unsqueeze(2)
        total: Tensor = vectors.sum(1)
        if name in self.summed:
            return total
        mass = share.sum(1, keepdim=True)
        return total / torch.where(mass > 0, mass, torch.ones_like(mass))

    @staticmethod
    def _check_range(index: Tensor, limit: Tensor, names: Sequence[str]) -> None:
        # An id outside its range would silently read and train another feature's rows.
        if torch.compiler.is_compiling() or index.device.type != "cpu":
            return
        if not torch.equal(index.clamp(torch.zeros_like(limit), limit - 1), index):
            outside = (index < 0) | (index >= limit)
            row, column = (int(i) for i in outside.view(index.shape[0], -1).nonzero()[0])
            name = names[column if len(names) > 1 else 0]
            value = int(index.view(index.shape[0], -1)[row, column])
            rows = int(limit.view(-1)[column if len(names) > 1 else 0])
            raise DataError(
                f"feature {name!r} must lie in 0..{rows - 1}, found {value} in row {row} of the "
                "batch: give `FeatureSpec` a larger table, or encode ids with a `Codec`"
            )


class NumericVector(nn.Module):
    """A number as a vector of width `size`, ``relu(x v + u)``, on the scale of id embeddings."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.line = nn.Linear(1, size)
        nn.init.normal_(self.line.weight)
        nn.init.normal_(self.line.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 1) -> (B, size)``."""
        return torch.relu(self.line(x))


class Embedding(nn.Module):
    """Features to the shared input ``(B, F)`` and each tower's own ``(B, F_t)``; one set of tables.

    A feature that some stage must not see is not in the shared input: it bypasses the bottom and
    reaches the towers of the stages that may see it.

    Args:
        spec: The features.
        towers: Tower name -> the stage whose features it sees.
    """

    def __init__(self, spec: FeatureSpec, towers: Mapping[str, str]) -> None:
        super().__init__()
        self.shared = spec.shared
        self.own = {tower: spec.own(stage) for tower, stage in towers.items() if spec.own(stage)}
        rest = [name for name in spec.features if name not in self.shared]
        self.lookup = _Lookup(spec, (*self.shared, *rest))

    def forward(self, features: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Features by name -> shared ``(B, F)`` and own ``(B, F_t)`` by tower."""
        vectors = self.lookup(features)
        shared = self.lookup.assemble(self.shared, vectors, features)
        own = {
            tower: self.lookup.assemble(names, vectors, features)
            for tower, names in self.own.items()
        }
        return shared, own


class TowerEmbeddings(nn.Module):
    """As `Embedding`, with separate tables for every tower: ``(B, T, F)``."""

    def __init__(self, spec: FeatureSpec, towers: Mapping[str, str]) -> None:
        super().__init__()
        self.shared = spec.shared
        self.own = {tower: spec.own(stage) for tower, stage in towers.items()}
        self.lookups = nn.ModuleList(
            _Lookup(spec, (*self.shared, *names)) for names in self.own.values()
        )

    def forward(self, features: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Features by name -> shared ``(B, T, F)`` and own ``(B, F_t)`` by tower."""
        shared, own = [], {}
        for lookup, (tower, names) in zip(self.lookups, self.own.items(), strict=True):
            assert isinstance(lookup, _Lookup)
            vectors = lookup(features)
            shared.append(lookup.assemble(self.shared, vectors, features))
            if names:
                own[tower] = lookup.assemble(names, vectors, features)
        return torch.stack(shared, dim=1), own
