"""AUC within users, streamed in bounded memory."""

from typing import Any, Literal

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional import Array, GroupedAUC, as_tensor, grouped_auc
from mtl_seq.metrics.base import SpaceMetric
from mtl_seq.metrics.spaces import Rows, empty_reason
from mtl_seq.records import Space

__all__ = ["GAUC"]


class GAUC(SpaceMetric):
    """Average of the AUCs within users (Zhu et al., KDD 2017), on the rows of one space.

    A user's AUC needs all rows of the user at once. Up to `limit` rows all are kept; beyond it the
    users are halved, repeatedly, by a hash of their id: the users that stay are a random sample
    which depends on their ids only, so the value does not depend on the order or the size of
    batches. `share` is the share of the users that were kept, `coverage` the share of the kept
    users' mass that is of users with both classes.

    Args:
        space: ``"all"`` impressions, ``"clicks"`` or ``"non-clicks"``.
        by: What users are averaged by: their ``"impressions"`` (rows of the space) or ``"clicks"``.
        limit: How many rows are kept at most, 40 bytes each.
    """

    higher_is_better = True
    level: Tensor
    group: list[Tensor] | Tensor
    kept: list[Tensor] | Tensor

    def __init__(
        self,
        space: Space = "all",
        *,
        by: Literal["impressions", "clicks"] = "impressions",
        limit: int = 5_000_000,
    ) -> None:
        if by not in ("impressions", "clicks"):
            raise DataError(f"`by` must be 'impressions' or 'clicks', found {by!r}")
        super().__init__("gauc", by, limit, space=space)
        self.by = by
        self.limit = limit
        self._found: GroupedAUC | None = None
        self.add_state("level", torch.zeros((), dtype=torch.int64), dist_reduce_fx="max")
        self.add_state("group", [], dist_reduce_fx="cat")
        self.add_state("kept", [], dist_reduce_fx="cat")

    def update(  # type: ignore[override]
        self,
        prediction: Array,
        target: Array,
        group: Array,
        *,
        click: Array | None = None,
        weight: Array | None = None,
    ) -> None:
        """Add a batch as `AUC.update` does, with ``(B,)`` integer ids of the user.

        `click` is also needed where users are averaged by clicks.
        """
        if self.by == "clicks" and click is None:
            raise DataError("`click` must be given where users are averaged by clicks")
        others = {"click_": click} if self.by == "clicks" and click is not None else {}
        self.select(prediction, target, click, weight, group=group, **others)

    def add_rows(self, rows: Rows) -> None:
        """Add checked rows of the space, whose ids must be integers."""
        ids = rows.others[0]
        if ids.is_floating_point():
            raise DataError(f"`group` must hold integer ids, found {ids.dtype}")
        share = rows.weight
        if self.by == "clicks":
            share = share * rows.others[1].double()
        columns = torch.stack((rows.prediction, rows.target, rows.weight, share), dim=1)
        self._keep(ids.long(), columns)

    def _keep(self, ids: Tensor, columns: Tensor) -> None:
        stays = _sampled(ids, int(self.level))
        self.group, self.kept = _listed(self.group), _listed(self.kept)
        self.group.append(ids[stays])
        self.kept.append(columns[stays])
        if sum(map(len, self.group)) > self.limit:
            ids, columns = self._thinned()
            self.group, self.kept = [ids], [columns]

    def _thinned(self) -> tuple[Tensor, Tensor]:
        """What stays after halving the users as often as the limit asks for."""
        ids, columns = torch.cat(_listed(self.group)), torch.cat(_listed(self.kept))
        level = int(self.level)
        stays = _sampled(ids, level)
        while int(stays.sum()) > self.limit:
            level += 1
            stays = _sampled(ids, level)
        self.level = torch.full_like(self.level, level)
        return ids[stays], columns[stays]

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.grouped_auc`."""
        if not sum(map(len, _listed(self.group))):
            self._found = None
            return torch.tensor(torch.nan, dtype=torch.float64), empty_reason(self.space)
        ids, columns = self._thinned()
        prediction, target, weight, share = columns.unbind(1)
        self._found = grouped_auc(prediction, target, ids, weight=weight, share=share)
        if bool(self._found.value.isfinite()):
            return self._found.value, None
        return self._found.value, f"no user with both classes in space {self.space!r}"

    @property
    def coverage(self) -> float:
        """Share of the users' mass, in the last `compute`, that is of users with both classes."""
        return float(self._found.coverage) if self._found else float("nan")

    @property
    def share(self) -> float:
        """Share of the users that is sampled: 1, or a power of one half."""
        return 0.5 ** int(self.level)

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        # A process without rows must send an empty tensor of the right type.
        self.group = [torch.cat((*_listed(self.group), self.level.new_zeros(0)))]
        empty = torch.zeros((0, 4), dtype=torch.float64, device=self.level.device)
        self.kept = [torch.cat((*_listed(self.kept), empty))]
        super()._sync_dist(*args, **kwargs)


def _listed(state: list[Tensor] | Tensor) -> list[Tensor]:
    return state if isinstance(state, list) else [state]


def _sampled(ids: Tensor, level: int) -> Tensor:
    """Which ids are among the ``2^-level`` sampled; those of a level are among those below it."""
    if level == 0:
        return torch.ones_like(ids, dtype=torch.bool)
    # The finaliser of SplitMix64; a product of int64 wraps, and a mask makes the shifts logical.
    mixed = as_tensor(ids)
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        mixed = (mixed ^ (mixed >> shift & (1 << 64 - shift) - 1)) * factor
    mixed = mixed ^ (mixed >> 31 & (1 << 33) - 1)
    return mixed & (1 << level) - 1 == 0
