"""Which rows a ranking loss has `fit` bring together in a batch."""

from dataclasses import dataclass

from mtl_seq.errors import CompositionError

__all__ = ["Comparisons", "DrawnPairs", "WholeLists"]


@dataclass(frozen=True)
class DrawnPairs:
    """Pairs drawn anew for every epoch, each a group of its own in the batch.

    Attributes:
        per_group: Pairs of each user or request that has any. Whoever saw n impressions has of the
            order of n^2 pairs; with a fixed number each counts the same. None for as many as let
            the better rows be met about once an epoch: the clicks per user, mostly. With more,
            embeddings of ids overfit as they do in a second pass over a log.
        pool: Draw as many pairs evenly from all of them instead. That is the naive way: heavy users
            have most of the pairs and dominate.

    Raises:
        CompositionError: Fewer than one pair.
    """

    per_group: int | None = None
    pool: bool = False

    def __post_init__(self) -> None:
        if self.per_group is not None and self.per_group < 1:
            raise CompositionError(f"`per_group` must be at least 1, found {self.per_group}")


@dataclass(frozen=True)
class WholeLists:
    """All impressions of a user or request in one batch, whose pairs are then all there.

    Attributes:
        longest: A longer list is cut to that many impressions, drawn anew for every epoch.

    Raises:
        CompositionError: Lists of fewer than two impressions.
    """

    longest: int = 200

    def __post_init__(self) -> None:
        if self.longest < 2:
            raise CompositionError(f"`longest` must be at least 2, found {self.longest}")


Comparisons = DrawnPairs | WholeLists
"""How rows to compare come together."""
