"""Work of the training benchmark: rows, networks of one shape, and a lower bound of their time.

Shapes: B rows a batch, 23 id fields, 16 numbers an id.
"""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mtl_seq import FeatureSpec, FunnelLabels, nn
from mtl_seq.losses import ClickSpace, EntireSpace, Objective
from mtl_seq.models import FunnelModel, assemble
from mtl_seq.models.base import CLICK_CONVERSION
from mtl_seq.models.stage_losses import joint_losses
from mtl_seq.records import FunnelBatch

SIZES = {f"f{i}": rows for i, rows in enumerate([200_000] * 6 + [10_000] * 7 + [100] * 10)}
EMBEDDING = 16
EXPERTS, EXPERT, TOWER = 8, (256, 128), (64, 32)
MODELS = ("MMoE", "ESMM", "ESMM on MMoE")
_ZIPF = 1.05


class Work(NamedTuple):
    """Rows in memory, and the size of a batch."""

    ids: dict[str, Tensor]
    click: Tensor
    conversion: Tensor
    batch: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.click)

    def batches(self) -> Iterator[tuple[dict[str, Tensor], Tensor, Tensor]]:
        """Batches in a random order."""
        order = torch.randperm(self.rows, generator=torch.Generator().manual_seed(0))
        for index in order.split(self.batch):
            ids = {name: column[index] for name, column in self.ids.items()}
            yield ids, self.click[index], self.conversion[index]

    def as_batch(self) -> FunnelBatch:
        """The rows as input of our loader."""
        labels = FunnelLabels.of(click=self.click, conversion=self.conversion)
        return FunnelBatch(dict(self.ids), labels)


def draw(rows: int, batch: int, sizes: dict[str, int] | None = None, seed: int = 0) -> Work:
    """Draw Zipf ids, a click in five rows, a conversion in five clicks."""
    rng = np.random.default_rng(seed)
    ids = {}
    for name, size in (sizes or SIZES).items():
        mass = np.cumsum(1 / np.arange(1, size + 1) ** _ZIPF)
        rank = np.searchsorted(mass, rng.random(rows) * mass[-1])
        ids[name] = torch.from_numpy(rng.permutation(size)[np.minimum(rank, size - 1)])
    click = torch.from_numpy((rng.random(rows) < 0.2).astype(np.float32))
    conversion = click * torch.from_numpy((rng.random(rows) < 0.2).astype(np.float32))
    return Work(ids, click, conversion, batch)


def build(model: str, sizes: dict[str, int]) -> FunnelModel:
    """Build our network of one of MODELS."""
    mixture = partial(nn.MMoE, experts=EXPERTS, hidden=EXPERT)
    identity = partial(nn.SharedBottom, hidden=())  # ESMM's towers take the embedding itself
    losses = joint_losses(CLICK_CONVERSION)
    if model == "MMoE":
        losses = {"ctr": EntireSpace("click"), "cvr": ClickSpace()}
    return assemble(
        FeatureSpec(ids=sizes, embedding=EMBEDDING),
        Objective(losses),
        funnel=CLICK_CONVERSION,
        bottom=identity if model == "ESMM" else mixture,
        head=partial(nn.ParallelHead, hidden=TOWER),
        seed=0,
    )


class ByHand(torch.nn.Module):
    """Plain ESMM on MMoE: a table per field, a loop over experts."""

    def __init__(self, sizes: dict[str, int]) -> None:
        super().__init__()
        width = EMBEDDING * len(sizes)
        self.tables = torch.nn.ModuleDict(
            {name: torch.nn.Embedding(rows, EMBEDDING) for name, rows in sizes.items()}
        )
        self.experts = torch.nn.ModuleList(stack((width, *EXPERT)) for _ in range(EXPERTS))
        self.gates = torch.nn.ModuleList(torch.nn.Linear(width, EXPERTS) for _ in range(2))
        self.towers = torch.nn.ModuleList(
            torch.nn.Sequential(stack((EXPERT[-1], *TOWER)), torch.nn.Linear(TOWER[-1], 1))
            for _ in range(2)
        )

    def forward(self, ids: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Compute pCTR and pCTCVR from ids."""
        x = torch.cat([table(ids[name]) for name, table in self.tables.items()], dim=1)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=1)
        pctr, pcvr = (
            torch.sigmoid(tower((torch.softmax(gate(x), 1).unsqueeze(2) * outputs).sum(1)))
            for gate, tower in zip(self.gates, self.towers, strict=True)
        )
        return pctr.squeeze(1), (pctr * pcvr).squeeze(1)

    def loss(self, ids: dict[str, Tensor], click: Tensor, conversion: Tensor) -> Tensor:
        """Cross entropy of CTR and CTCVR, the latter as a product of probabilities."""
        pctr, pctcvr = self(ids)
        cross_entropy = functional.binary_cross_entropy
        return cross_entropy(pctr, click) + cross_entropy(pctcvr, conversion)


def stack(widths: tuple[int, ...]) -> torch.nn.Sequential:
    """Linear layers with ReLU."""
    layers: list[torch.nn.Module] = []
    for before, after in pairwise(widths):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers)


class LowerBound:
    """The least work of a step: its matrix products, one gather, and the update of its rows.

    Products of every layer, forward and the two of backward, on operands in memory in the given
    precision; rows are gathered for the batch and written once each. No activation, no loss, no
    optimiser of anything but the rows.
    """

    def __init__(self, model: str, work: Work, dtype: torch.dtype) -> None:
        width, batch = EMBEDDING * len(work.ids), work.batch
        layers = [(width, 2 * EXPERTS), *[(width, EXPERT[0]), EXPERT] * EXPERTS]
        first = width if model == "ESMM" else EXPERT[-1]
        towers = [(first, TOWER[0]), TOWER, (TOWER[-1], 1)] * 2
        layers = towers if model == "ESMM" else [*layers, *towers]
        self.operands = [
            (
                torch.randn(batch, wide).to(dtype),
                torch.randn(narrow, wide).to(dtype),
                torch.randn(batch, narrow).to(dtype),
            )
            for wide, narrow in layers
        ]
        start, places = 0, []
        for column in work.ids.values():
            places.append(column[:batch] + start)
            start += int(column.max()) + 1
        self.index = torch.stack(places, dim=1).flatten()
        self.rows = self.index.unique()
        self.table = torch.randn(start, EMBEDDING)
        self.moves = torch.randn(len(self.rows), EMBEDDING)

    def forward(self) -> None:
        """Least work of inference on a batch."""
        self.table.index_select(0, self.index)
        for x, weight, _ in self.operands:
            x @ weight.T

    def step(self) -> None:
        """Least work of a training step."""
        self.forward()
        for x, weight, gradient in self.operands:
            gradient @ weight
            gradient.T @ x
        self.table.index_add_(0, self.rows, self.moves, alpha=-1e-9)
