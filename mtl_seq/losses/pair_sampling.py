"""Sampling of the pairs or lists that a ranking loss compares within a batch."""

from dataclasses import dataclass

from mtl_seq.errors import CompositionError

__all__ = ["Comparisons", "DrawnPairs", "WholeLists"]


@dataclass(frozen=True)
class DrawnPairs:
    """Pairs drawn in every epoch, each a separate group of the batch.

    Attributes:
        per_group: Pairs of each user or request that has any. A user of n impressions has of the
            order of n^2 pairs; with a fixed number every user has the same weight. None for as many
            as sample the better rows about once an epoch: mostly the clicks per user. With more,
            embeddings of ids overfit as they do in a second epoch.
        pool: Draw as many pairs uniformly from all pairs instead, the naive way: heavy users have
            most of the pairs and dominate.

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
    """All impressions of a user or request in one batch, with all pairs of them.

    Attributes:
        longest: A longer list is cut to that many impressions, drawn in every epoch.

    Raises:
        CompositionError: Lists of fewer than two impressions.
    """

    longest: int = 200

    def __post_init__(self) -> None:
        if self.longest < 2:
            raise CompositionError(f"`longest` must be at least 2, found {self.longest}")


Comparisons = DrawnPairs | WholeLists
"""How the rows to compare are sampled."""
