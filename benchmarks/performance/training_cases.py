"""Implementations in the training benchmark, and the tasks that each is timed at."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch

from benchmarks.lib.study import quiet
from benchmarks.performance.training_peers import PEERS
from benchmarks.performance.training_work import ByHand, LowerBound, Work, build
from mtl_seq.data import BatchLoader
from mtl_seq.fit import DenseAdam, OptimizerFactory, RowWiseAdagrad
from mtl_seq.fit.optim import table_gradients
from mtl_seq.fit.prediction import score_rows
from mtl_seq.fit.train.precision import Arithmetic, is_float32
from mtl_seq.records import FunnelBatch

TASKS = {
    "training, end to end": "train",
    "training, bare steps": "step",
    "inference, end to end": "predict",
    "inference, bare steps": "forward",
}
"""Method of a `Case` by task."""

HAND, BOUND = "by hand, Adam(fused=True)", "lower bound"
FLOAT32, BFLOAT16 = "mtl_seq, float32", "mtl_seq, bfloat16"
DENSE = "mtl_seq, dense Adam, float32"
BOUNDS = {f"{BOUND}, float32": torch.float32, f"{BOUND}, bfloat16": torch.bfloat16}
OURS = {
    FLOAT32: (RowWiseAdagrad(), "float32"),
    BFLOAT16: (RowWiseAdagrad(), "bfloat16"),
    DENSE: (DenseAdam(), "float32"),
}
_LR = 1e-3
_TRAINER = {
    "max_epochs": 1,
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Case(Protocol):
    """An implementation of a model."""

    def train(self) -> None:
        """Train for one epoch, end to end."""

    def step(self) -> None:
        """One step on a batch in memory."""

    def predict(self) -> None:
        """Predict all rows, end to end."""

    def forward(self) -> None:
        """Predict one batch in memory."""


class Ours:
    """mtl_seq: `FunnelModule` under Lightning's Trainer, on our loader."""

    def __init__(
        self,
        model: str,
        work: Work,
        sizes: dict[str, int],
        how: tuple[OptimizerFactory, Any],
        device: str,
    ) -> None:
        self.work, self.device = work, torch.device(device)
        self.optimizer_factory, self.precision = how
        self.model = build(model, sizes).to(self.device)
        self.rows = work.as_batch()
        taken = BatchLoader(self.rows, work.batch).take(torch.arange(min(work.batch, work.rows)))
        assert taken.labels is not None
        labels = (None if x is None else x.to(self.device) for x in taken.labels)
        self.batch = FunnelBatch(
            {name: x.to(self.device) for name, x in taken.features.items()},
            type(taken.labels)(*labels),
        )
        self.arithmetic = Arithmetic(self._fastest() if self.precision == "float32" else "bfloat16")
        self.optimizer = self.optimizer_factory(self.model, lr=_LR, weight_decay=0.0)

    def _fastest(self) -> str:
        """Float32 in oneDNN where that is as accurate."""
        onednn = self.device.type == "cpu" and is_float32(Arithmetic.ONEDNN)
        return Arithmetic.ONEDNN.value if onednn else Arithmetic.FLOAT32.value

    def train(self) -> None:
        """Train for one epoch."""
        from lightning import Trainer

        from mtl_seq.fit import FunnelModule

        module = FunnelModule(
            self.model, lr=_LR, optimizer=self.optimizer_factory, precision="float32"
        )
        module.arithmetic = self.arithmetic
        loader = BatchLoader(self.rows, self.work.batch, generator=torch.Generator().manual_seed(0))
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        with quiet():
            Trainer(accelerator=self.device.type, **_TRAINER).fit(module, loader)

    def step(self) -> None:
        """One step on a batch in memory."""
        labels = self.batch.labels
        assert labels is not None
        with table_gradients(self.model, self.optimizer_factory):
            with self.arithmetic.network(self.device):
                prediction = self.model(self.batch.features)
            loss = self.model.objective.total(prediction, labels)
            self.optimizer.zero_grad()
            with self.arithmetic.backward():
                loss.backward()
            self.optimizer.step()

    def predict(self) -> None:
        """Predict all rows."""
        score_rows(self.model.network, self.rows, self.arithmetic)

    def forward(self) -> None:
        """Predict one batch in memory."""
        with torch.inference_mode(), self.arithmetic.network(self.device):
            self.model(self.batch.features)


class Hand:
    """The network of `ByHand` in a plain loop."""

    def __init__(self, work: Work, sizes: dict[str, int], device: str) -> None:
        self.work, self.device = work, device
        self.network = ByHand(sizes).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=_LR, fused=True)
        self.batch = self._moved(next(work.batches()))

    def _moved(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        ids, *labels = batch
        return {k: x.to(self.device) for k, x in ids.items()}, *(x.to(self.device) for x in labels)

    def train(self) -> None:
        """Train for one epoch."""
        for batch in self.work.batches():
            self._step(*self._moved(batch))

    def step(self) -> None:
        """One step on a batch in memory."""
        self._step(*self.batch)

    def _step(self, *batch: Any) -> None:
        loss = self.network.loss(*batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def predict(self) -> None:
        """Predict all rows."""
        with torch.inference_mode():
            for batch in self.work.batches():
                self.network(self._moved(batch)[0])

    def forward(self) -> None:
        """Predict one batch in memory."""
        with torch.inference_mode():
            self.network(self.batch[0])


def implementations(
    model: str, work: Work, sizes: dict[str, int], device: str
) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Name and constructor of all implementations of a model."""
    if model == "ESMM on MMoE":
        yield HAND, lambda: Hand(work, sizes, device)
    else:
        for name, peer in PEERS.items():
            if device == "cpu" or name != "deepctr-torch":
                yield name, lambda peer=peer: peer(model, work, sizes)
    for name, how in OURS.items():
        yield name, lambda how=how: Ours(model, work, sizes, how, device)


def bounds(model: str, work: Work) -> dict[str, LowerBound]:
    """Lower bounds by precision."""
    return {name: LowerBound(model, work, dtype) for name, dtype in BOUNDS.items()}
