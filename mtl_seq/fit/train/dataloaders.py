"""Batches to train on, as a model's losses want them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from mtl_seq.data import BatchLoader, ListLoader, PairLoader, StreamLoader
from mtl_seq.errors import CompositionError
from mtl_seq.fit.prepare.rows import Rows, Streamed
from mtl_seq.losses import DrawnPairs, RankingLoss
from mtl_seq.models import FunnelModel

__all__ = ["Loader", "training_loader"]

Loader = BatchLoader | PairLoader | ListLoader | StreamLoader


def training_loader(
    model: FunnelModel,
    rows: Rows,
    batch_size: int,
    *,
    seed: int,
    id_dropout: float,
    rank: int = 0,
    world_size: int = 1,
) -> Loader:
    """All rows in random batches, or for a ranking loss the rows it compares.

    Args:
        model: What is trained.
        rows: Training rows.
        batch_size: Rows per batch.
        seed: Seed of the order and of all else that is drawn.
        id_dropout: Share of ids replaced by the unseen.
        rank: Which of several processes this is; each has a slice of every batch.
        world_size: How many processes there are.

    Raises:
        CompositionError: A ranking loss beside another loss, or on rows that are streamed.
        DataError: For a ranking loss: rows without groups, or without a pair of different grades.
    """
    losses = list(model.objective.losses.values())
    ranking = [loss for loss in losses if isinstance(loss, RankingLoss)]
    place: dict[str, Any] = {"rank": rank, "world_size": world_size}
    if isinstance(rows, Streamed):
        if ranking:
            raise CompositionError(
                "a ranker compares rows that stand anywhere in a log, which cannot be streamed: "
                "hand in a frame that fits into memory"
            )
        return StreamLoader(
            rows.source,
            rows.codec,
            batch_size,
            seed=seed,
            id_dropout=id_dropout,
            folds=rows.folds,
            **place,
        )
    shared: dict[str, Any] = {
        "generator": torch.Generator().manual_seed(seed),
        "id_dropout": id_dropout,
    }
    if not ranking:
        return BatchLoader(rows, batch_size, **shared, **place)
    if len(losses) > 1:
        raise CompositionError(
            f"a ranking loss must be the only one, since it has batches of its own, found "
            f"{tuple(model.objective.losses)}: train the others in a model of their own"
        )
    assert rows.labels is not None
    loss = ranking[0]
    grade = loss.grade(rows.labels, model.network.funnel.names)
    made = loss.comparisons
    build: Callable[..., Loader] = (
        partial(PairLoader, per_group=made.per_group, pool=made.pool)
        if isinstance(made, DrawnPairs)
        else partial(ListLoader, longest=made.longest)
    )
    return build(rows, grade, batch_size, **shared)
