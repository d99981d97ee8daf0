"""Training batches in the form that a model's losses need."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from mtl_seq.data import BatchLoader, ListLoader, PairLoader, StreamLoader
from mtl_seq.errors import CompositionError
from mtl_seq.fit.config import FitConfig
from mtl_seq.fit.prepare.rows import Rows, Streamed
from mtl_seq.losses import DrawnPairs, RankingLoss
from mtl_seq.models import FunnelModel

__all__ = ["Loader", "training_loader"]

Loader = BatchLoader | PairLoader | ListLoader | StreamLoader


def training_loader(
    config: FitConfig, model: FunnelModel, rows: Rows, *, rank: int = 0, world_size: int = 1
) -> Loader:
    """Training batches: all rows in random order, or for a ranking loss the rows it compares.

    Args:
        config: The settings: batch size, id dropout, and the seed of all that is drawn.
        model: The model to train.
        rows: Training rows.
        rank: Number of this process; each has a slice of every batch.
        world_size: Number of processes.

    Raises:
        CompositionError: A ranking loss beside another loss, or on rows that are streamed.
        DataError: For a ranking loss: rows without groups, or without a pair of different grades.
    """
    losses = list(model.objective.losses.values())
    ranking = [loss for loss in losses if isinstance(loss, RankingLoss)]
    process: dict[str, Any] = {"rank": rank, "world_size": world_size}
    if isinstance(rows, Streamed):
        if ranking:
            raise CompositionError(
                "a ranker compares rows from all over a log, which cannot be streamed: pass a "
                "frame that fits into memory"
            )
        return StreamLoader(
            rows.source,
            rows.codec,
            config.batch_size,
            seed=config.seed,
            id_dropout=config.id_dropout,
            folds=rows.folds,
            **process,
        )
    shared: dict[str, Any] = {
        "generator": torch.Generator().manual_seed(config.seed),
        "id_dropout": config.id_dropout,
    }
    if not ranking:
        return BatchLoader(rows, config.batch_size, **shared, **process)
    if len(losses) > 1:
        raise CompositionError(
            f"a ranking loss must be the only one, since its batches are lists or pairs of rows, "
            f"found {tuple(model.objective.losses)}: train the others in another model"
        )
    assert rows.labels is not None
    loss = ranking[0]
    grade = loss.grade(rows.labels, model.network.funnel.names)
    comparisons = loss.comparisons
    build: Callable[..., Loader] = (
        partial(PairLoader, per_group=comparisons.per_group, pool=comparisons.pool)
        if isinstance(comparisons, DrawnPairs)
        else partial(ListLoader, longest=comparisons.longest)
    )
    return build(rows, grade, config.batch_size, **shared)
