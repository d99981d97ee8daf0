"""P(level of the click-only features | x): logged, estimated, or declared uniform.

Shapes: N impressions, K levels.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mtl_seq.data import BatchLoader
from mtl_seq.errors import DataError, SchemaError
from mtl_seq.models import DependenceConfig
from mtl_seq.nn.forward import batched_forward
from mtl_seq.records import FloatArray, FunnelBatch, FunnelLabels, IntArray

__all__ = ["LevelShares", "fit_shares"]

_BATCH, _EPOCHS, _LR = 512, 10, 1e-2
_VALIDATION, _CLEAR, _SMALL = 0.2, 3.0, 256


class _Policy(nn.Module):
    """Multinomial regression of the level on ids and numbers."""

    def __init__(self, ids: Mapping[str, int], dense: Sequence[str], start: Tensor) -> None:
        super().__init__()
        self.ids, self.dense = tuple(ids), tuple(dense)
        # Weights are passed, since drawing them would advance the global generator.
        self.tables = nn.ModuleList(
            nn.Embedding(rows, len(start), _weight=torch.zeros(rows, len(start)))
            for rows in ids.values()
        )
        self.weight = nn.Parameter(torch.zeros(len(dense), len(start)))
        self.bias = nn.Parameter(start.float())

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Features of B rows -> ``(B, K)`` logits."""
        logits: Tensor = self.bias.expand(len(features[(*self.ids, *self.dense)[0]]), -1)
        for name, table in zip(self.ids, self.tables, strict=True):
            logits = logits + table(features[name])
        if self.dense:
            columns = torch.stack([features[name] for name in self.dense], dim=1)
            logits = logits + columns.float() @ self.weight
        return logits


@dataclass(frozen=True)
class LevelShares:
    """P(level | x): marginal shares, columns of the log, or a fitted model.

    Attributes:
        source: The source in words, for a report.
        shares: ``(K,)`` probabilities of all rows where there are neither columns nor a model.
        columns: Columns of the log that hold the probabilities.
        policy: The fitted model.
    """

    source: str
    shares: FloatArray
    columns: tuple[str, ...] = ()
    policy: _Policy | None = None

    def predict(self, frame: pd.DataFrame, features: Mapping[str, Tensor]) -> FloatArray:
        """``(N, K)`` probabilities of some rows.

        Args:
            frame: The rows.
            features: The same rows, encoded.
        """
        if self.columns:
            return logged_shares(frame, self.columns)
        if self.policy is None:
            return np.broadcast_to(self.shares, (len(frame), len(self.shares)))
        (shares,) = batched_forward(
            self.policy, features, lambda logits: (torch.softmax(logits.double(), dim=1),)
        )
        return shares.numpy()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form without the weights of a model; `from_dict` reads it."""
        policy = self.policy
        return {
            "source": self.source,
            "shares": self.shares.tolist(),
            "columns": list(self.columns),
            "policy": policy
            and {
                "ids": {
                    n: t.num_embeddings for n, t in zip(policy.ids, policy.tables, strict=True)
                },
                "dense": list(policy.dense),
            },
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "LevelShares":
        """Read what `to_dict` wrote; the weights of a model are loaded separately."""
        shares = np.array(content["shares"], dtype=np.float64)
        shape = content["policy"]
        policy = shape and _Policy(shape["ids"], shape["dense"], torch.zeros(len(shares)))
        return cls(content["source"], shares, tuple(content["columns"]), policy or None)


def fit_shares(
    config: DependenceConfig,
    frame: pd.DataFrame,
    features: Mapping[str, Tensor],
    level: IntArray,
    names: Sequence[str],
    *,
    seed: int,
) -> LevelShares:
    """Get P(level | x) from the source of the settings; estimate it where they ask for it.

    The model is a multinomial regression. Where its log loss on validation rows is not better than
    that of the marginal shares by three standard errors, the shares are taken.

    Args:
        config: The settings.
        frame: The rows, in which every level occurs.
        features: The same rows, encoded.
        level: ``(N,)`` their levels.
        names: Features that are not click-only.
        seed: Seed of the split and of the order of the rows.

    Raises:
        SchemaError: A feature of `policy` that is unknown or click-only.
        DataError: Logged shares that are no distributions.
    """
    levels = int(level.max()) + 1
    marginal = np.bincount(level) / len(level)
    if config.level_share == "uniform":
        return LevelShares("declared uniform", np.full(levels, 1 / levels))
    if config.level_share != "estimated":
        columns = tuple(config.level_share)
        if len(columns) != levels:
            raise DataError(
                f"`level_share` must name a column for each of {levels} levels, found {columns}"
            )
        logged_shares(frame, columns)
        return LevelShares(f"logged in {', '.join(columns)}", marginal, columns)
    wanted = list(names) if config.policy is None else list(config.policy)
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SchemaError(
            f"`policy` must name features that the conversion tower sees, {tuple(names)}, found "
            f"{unknown}: what chose the level must be in the model"
        )
    plain = LevelShares("the log's marginal shares", marginal)
    inputs = _inputs(wanted, features)
    if not inputs:
        return plain
    return _estimated(inputs, torch.from_numpy(level), plain, wanted, seed)


def _inputs(names: Sequence[str], features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Numbers, small ids, and target encodings of other ids, whose large tables would overfit."""
    inputs = {}
    for name, column in features.items():
        derived = any(name.startswith(f"{one}:") for one in names)
        small = column.dtype != torch.int64 or int(column.max()) < _SMALL
        if (name in names or derived) and column.dim() == 1 and small:
            inputs[name] = column
    return inputs


def _estimated(
    features: dict[str, Tensor],
    level: Tensor,
    plain: LevelShares,
    names: Sequence[str],
    seed: int,
) -> LevelShares:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(level), generator=generator)
    count = round(_VALIDATION * len(level))
    validation, fitted = order[:count], order[count:]
    ids = {n: int(x.max()) + 1 for n, x in features.items() if x.dtype == torch.int64}
    dense = [name for name in features if name not in ids]
    start = torch.from_numpy(np.log(np.maximum(plain.shares, 1e-9)))
    policy = _Policy(ids, dense, start)
    base = cross_entropy(start[None].expand(count, -1), level[validation], reduction="none")
    best = float(base.mean())
    kept = None
    optimizer = torch.optim.Adam(policy.parameters(), lr=_LR)
    known = {name: x[fitted] for name, x in features.items()}
    batches = BatchLoader(
        FunnelBatch(known, FunnelLabels(level[fitted, None])), _BATCH, generator=generator
    )
    for _ in range(_EPOCHS):
        for batch in batches:
            assert batch.labels is not None
            loss = cross_entropy(policy(batch.features), batch.labels.stages[:, 0])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            logits = policy({name: x[validation] for name, x in features.items()})
            losses = cross_entropy(logits, level[validation], reduction="none")
        gain = base - losses
        if float(losses.mean()) >= best or gain.mean() <= _CLEAR * gain.std() / count**0.5:
            break
        best, kept = float(losses.mean()), copy.deepcopy(policy)
    if kept is None:
        source = f"{plain.source}: {', '.join(names)} are not predictive"
        return LevelShares(source, plain.shares)
    return LevelShares(f"estimated from {', '.join(names)}", plain.shares, (), kept)


def logged_shares(frame: pd.DataFrame, columns: Sequence[str]) -> FloatArray:
    """Read ``(N, K)`` P(level | x) from columns of a log.

    Raises:
        SchemaError: A column is absent.
        DataError: Rows that are no distributions.
    """
    absent = [column for column in columns if column not in frame]
    if absent:
        raise SchemaError(f"`level_share` names columns {absent} that the frame does not hold")
    shares: FloatArray = frame[list(columns)].to_numpy(dtype=np.float64)
    bad = ~((shares >= 0).all(1) & (np.abs(shares.sum(1) - 1) < 1e-6))
    if bad.any():
        raise DataError(
            f"`level_share` must be a distribution in every row, found {int(bad.sum())} rows that "
            "are none: each of them at least 0, and 1 together"
        )
    return shares
