"""The training benchmark by torch-rechub and deepctr-torch, used as their READMEs show."""

import sys
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.lib.study import quiet
from benchmarks.performance.training_work import EMBEDDING, EXPERT, EXPERTS, TOWER, Work

_LR = 1e-3


class Rechub:
    """torch-rechub: `MTLTrainer` over the loaders of its `DataGenerator`."""

    def __init__(self, model: str, work: Work, sizes: dict[str, int]) -> None:
        from torch_rechub.basic.features import SparseFeature
        from torch_rechub.models.multi_task import ESMM, MMOE
        from torch_rechub.trainers import MTLTrainer
        from torch_rechub.utils.data import DataGenerator, PredictDataset

        self.model, self.work = model, work
        features = [SparseFeature(n, vocab_size=v, embed_dim=EMBEDDING) for n, v in sizes.items()]
        tower = {"dims": list(TOWER)}
        if model == "ESMM":
            # Its labels: CVR, which has no loss, then CTR and CTCVR.
            columns = [work.conversion, work.click, work.conversion]
            half = len(features) // 2
            network = ESMM(features[:half], features[half:], cvr_params=tower, ctr_params=tower)
        else:
            columns = [work.click, work.conversion]
            expert = {"dims": list(EXPERT)}
            tasks = ["classification"] * 2
            network = MMOE(features, tasks, EXPERTS, expert, [tower, tower])
        x = {name: column.numpy() for name, column in work.ids.items()}
        y = torch.stack(columns, dim=1).numpy()
        few = {name: column[:1] for name, column in x.items()}
        with quiet():
            self.loader, *_ = DataGenerator(x, y).generate_dataloader(
                x_val=few, y_val=y[:1], x_test=few, y_test=y[:1], batch_size=work.batch
            )
            self.rows = torch.utils.data.DataLoader(PredictDataset(x), batch_size=work.batch)
            self.trainer = MTLTrainer(network, ["classification"] * len(columns), n_epoch=1)
        self.batch = next(iter(self.loader))

    def train(self) -> None:
        """Train for one epoch."""
        with quiet():
            self.trainer.train_one_epoch(self.loader)

    def step(self) -> None:
        """One step, as in its `train_one_epoch`."""
        x, y = self.batch
        scores = self.trainer.model(x)
        losses = [self.trainer.loss_fns[i](scores[:, i], y[:, i]) for i in range(y.shape[1])]
        loss = sum(losses[1:]) if self.model == "ESMM" else sum(losses) / len(losses)
        loss = loss + self.trainer.reg_loss_fn(self.trainer.model)
        self.trainer.model.zero_grad()
        loss.backward()
        self.trainer.optimizer.step()
        [one.item() for one in losses]

    def predict(self) -> None:
        """Predict all rows."""
        with quiet():
            self.trainer.predict(self.trainer.model, self.rows)

    def forward(self) -> None:
        """Predict one batch in memory."""
        self.trainer.model.eval()
        with torch.no_grad():
            self.trainer.model(self.batch[0])
        self.trainer.model.train()


class Deepctr:
    """deepctr-torch: `compile`, `fit`, `predict`."""

    def __init__(self, model: str, work: Work, sizes: dict[str, int]) -> None:
        with quiet():
            from deepctr_torch.inputs import SparseFeat
            from deepctr_torch.models import ESMM, MMOE

        columns = [
            SparseFeat(n, vocabulary_size=v, embedding_dim=EMBEDDING) for n, v in sizes.items()
        ]
        with quiet():
            if model == "ESMM":
                self.network = ESMM(columns, tower_dnn_hidden_units=TOWER)
            else:
                self.network = MMOE(
                    columns,
                    num_experts=EXPERTS,
                    expert_dnn_hidden_units=EXPERT,
                    gate_dnn_hidden_units=(),  # linear gates, as in the paper and the others
                    tower_dnn_hidden_units=TOWER,
                )
            self.network.compile(
                torch.optim.Adam(self.network.parameters(), lr=_LR),
                loss=["binary_crossentropy"] * 2,
                metrics=[],
            )
        self.work = work
        self.y = torch.stack([work.click, work.conversion], dim=1).numpy()
        stacked = np.stack([self._x()[name] for name in self.network.feature_index], axis=1)
        self.batch = torch.from_numpy(stacked[: work.batch]).float()
        self.labels = torch.from_numpy(self.y[: work.batch])

    def _x(self) -> dict[str, np.ndarray]:
        # New each time: `fit` reshapes the columns it is given.
        return {name: column.numpy() for name, column in self.work.ids.items()}

    def train(self) -> None:
        """Train for one epoch."""
        with quiet():
            self.network.fit(self._x(), self.y, batch_size=self.work.batch, epochs=1, verbose=0)

    def step(self) -> None:
        """One step, as in its `fit`."""
        scores = self.network(self.batch)
        self.network.optim.zero_grad()
        losses = [
            self.network.loss_func[i](scores[:, i], self.labels[:, i], reduction="sum")
            for i in range(2)
        ]
        loss = sum(losses)
        total = loss + self.network.get_regularization_loss() + self.network.aux_loss
        loss.item(), total.item()
        total.backward()
        self.network.optim.step()

    def predict(self) -> None:
        """Predict all rows."""
        with quiet():
            self.network.predict(self._x(), batch_size=self.work.batch)

    def forward(self) -> None:
        """Predict one batch in memory."""
        self.network.eval()
        with torch.no_grad():
            self.network(self.batch)
        self.network.train()


PEERS: dict[str, Callable[[str, Work, dict[str, int]], Rechub | Deepctr]] = {
    "torch-rechub": Rechub,
    "deepctr-torch": Deepctr,
}


def missing() -> bool:
    """Whether a package is not installed; then says how to install it."""
    try:
        import deepctr_torch  # noqa: F401
        import torch_rechub  # noqa: F401
    except ImportError as error:
        print(f"{error}: pip install -c constraints.txt -e '.[bench]'", file=sys.stderr)
        return True
    return False
