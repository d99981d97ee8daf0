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
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mtl_seq.data import BatchLoader
from mtl_seq.errors import DataError, SchemaError
from mtl_seq.models import DependenceConfig
from mtl_seq.nn.forward import batched_forward
from mtl_seq.records import FunnelBatch, FunnelLabels

__all__ = ["LevelShares", "fit_shares"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BATCH, _EPOCHS, _LR = 512, 10, 1e-2
_HELD, _CLEAR, _SMALL = 0.2, 3.0, 256


class _Policy(nn.Module):
    """Multinomial regression of the level on ids and numbers."""

    def __init__(self, ids: Mapping[str, int], dense: Sequence[str], start: Tensor) -> None:
        super().__init__()
        self.ids, self.dense = tuple(ids), tuple(dense)
        # Weights handed in, since drawn ones would move the global generator.
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
    """Where P(level | x) comes from.

    Attributes:
        source: In words, for a report.
        shares: ``(K,)`` the same for all rows, unless there is something better.
        columns: Columns of the log that hold it.
        policy: The fitted model of it.
    """

    source: str
    shares: FloatArray
    columns: tuple[str, ...] = ()
    policy: _Policy | None = None

    def of(self, frame: pd.DataFrame, features: Mapping[str, Tensor]) -> FloatArray:
        """``(N, K)`` of some rows.

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
        """A JSON-ready form but for the weights of a policy; `from_dict` reads it."""
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
        """Read what `to_dict` wrote; the weights of a policy are still to be loaded."""
        shares = np.array(content["shares"], dtype=np.float64)
        found = content["policy"]
        policy = found and _Policy(found["ids"], found["dense"], torch.zeros(len(shares)))
        return cls(content["source"], shares, tuple(content["columns"]), policy or None)


def fit_shares(
    how: DependenceConfig,
    frame: pd.DataFrame,
    features: Mapping[str, Tensor],
    level: IntArray,
    levels: int,
    names: Sequence[str],
    *,
    seed: int,
) -> LevelShares:
    """Settle where P(level | x) comes from, and estimate it where that was asked for.

    The model is a multinomial regression; where it does not foretell the level of held-out rows
    better than the log's own shares, by three standard errors, these are taken.

    Args:
        how: The settings.
        frame: The rows.
        features: The same rows, encoded.
        level: ``(N,)`` their levels.
        levels: K.
        names: Features that are not of the levels.
        seed: Seed of the split and of the order of the rows.

    Raises:
        SchemaError: A feature of `policy` that is unknown or click-only.
        DataError: Logged shares that are none.
    """
    own = np.bincount(level, minlength=levels) / len(level)
    if how.level_share == "uniform":
        return LevelShares("declared uniform", np.full(levels, 1 / levels))
    if how.level_share != "estimated":
        columns = tuple(how.level_share)
        if len(columns) != levels:
            raise DataError(
                f"`level_share` must name a column for each of {levels} levels, found {columns}"
            )
        logged_shares(frame, columns)
        return LevelShares(f"logged in {', '.join(columns)}", own, columns)
    wanted = list(names) if how.policy is None else list(how.policy)
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SchemaError(
            f"`policy` must name features that the conversion tower sees, {tuple(names)}, found "
            f"{unknown}: what chose the level must be in the model"
        )
    plain = LevelShares("the log's own shares, whatever x is", own)
    columns_of = _told(wanted, features)
    if not columns_of:
        return plain
    return _estimated(columns_of, torch.from_numpy(level), plain, wanted, seed)


def _told(names: Sequence[str], features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Numbers, small ids, and what target encodings tell of ids: large tables learn the noise."""
    found = {}
    for name, column in features.items():
        made = any(name.startswith(f"{one}:") for one in names)
        small = column.dtype != torch.int64 or int(column.max()) < _SMALL
        if (name in names or made) and column.dim() == 1 and small:
            found[name] = column
    return found


def _estimated(
    features: dict[str, Tensor],
    level: Tensor,
    plain: LevelShares,
    names: Sequence[str],
    seed: int,
) -> LevelShares:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(level), generator=generator)
    count = round(_HELD * len(level))
    held, fitted = order[:count], order[count:]
    ids = {n: int(x.max()) + 1 for n, x in features.items() if x.dtype == torch.int64}
    dense = [name for name in features if name not in ids]
    start = torch.from_numpy(np.log(np.maximum(plain.shares, 1e-9)))
    policy = _Policy(ids, dense, start)
    plainly = cross_entropy(start[None].expand(count, -1), level[held], reduction="none")
    best = float(plainly.mean())
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
            logits = policy({name: x[held] for name, x in features.items()})
            found = cross_entropy(logits, level[held], reduction="none")
        gain = plainly - found
        if float(found.mean()) >= best or gain.mean() <= _CLEAR * gain.std() / count**0.5:
            break
        best, kept = float(found.mean()), copy.deepcopy(policy)
    if kept is None:
        source = f"{plain.source}: {', '.join(names)} foretell nothing"
        return LevelShares(source, plain.shares)
    return LevelShares(f"estimated from {', '.join(names)}", plain.shares, (), kept)


def logged_shares(frame: pd.DataFrame, columns: Sequence[str]) -> FloatArray:
    """``(N, K)`` P(level | x) that the log carries.

    Raises:
        SchemaError: A column that is absent.
        DataError: Rows that are no distribution.
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
