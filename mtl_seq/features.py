"""Feature specification of a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from mtl_seq.errors import SchemaError

__all__ = ["FeatureSpec", "Pooling", "check_hidden", "check_names"]

Pooling = Literal["mean", "sum"]
"""Pooling of the vectors of a bag's items."""


@dataclass(frozen=True)
class FeatureSpec:
    """The features of a network: tables, sizes, and which towers see them.

    Attributes:
        ids: Rows of each id's embedding table. Ids start at 0, which always means "unseen".
        bags: Rows of each bag's embedding table.
        dense: Numeric features.
        hidden_from: For a stage, the features its tower must not see.
        embedding: Embedding size, one for all or one per id or bag.
        pooling: Pooling of a bag's vectors: ``"mean"`` (the default) or ``"sum"``.
        weighted: Bags whose items carry weights, in a feature named ``<bag>:weight``, ``(B, L)``.
        numeric: Size of the learned vector ``relu(x v + u)`` of each dense feature; 0 for the
            number itself.
        wide: Ids and dense features that also have a linear term in each tower that sees them.
        of_group: Dense features computed from the labels of the id that groups the rows: its target
            encodings. They exclude the row's label, so that within a group they are negatively
            related to it: see `within_groups`.

    Raises:
        SchemaError: A table without rows, a size below 1, or a hidden, pooled, weighted or wide
            feature that is unknown or of the wrong kind.

    >>> spec = FeatureSpec(ids={"user_id": 100, "position": 10}, dense=["price"],
    ...                    hidden_from={"conversion": ["position"]})
    >>> spec.shared, spec.own("click"), spec.own("conversion")
    (('user_id', 'price'), ('position',), ())
    """

    ids: Mapping[str, int] = field(default_factory=dict)
    bags: Mapping[str, int] = field(default_factory=dict)
    dense: Sequence[str] = ()
    hidden_from: Mapping[str, Sequence[str]] = field(default_factory=dict)
    embedding: int | Mapping[str, int] = 16
    pooling: Mapping[str, Pooling] = field(default_factory=dict)
    weighted: Sequence[str] = ()
    numeric: int = 0
    wide: Sequence[str] = ()
    of_group: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", dict(self.ids))
        object.__setattr__(self, "bags", dict(self.bags))
        object.__setattr__(self, "dense", check_names(self.dense, "dense"))
        hidden = {
            s: check_names(c, f"hidden_from[{s!r}]") for s, c in dict(self.hidden_from).items()
        }
        object.__setattr__(self, "hidden_from", hidden)
        if len(set(self.features)) != len(self.features) or not self.features:
            raise SchemaError(
                f"`ids`, `bags` and `dense` must name at least one feature and none twice, "
                f"found {self.features}"
            )
        for name, rows in (*self.ids.items(), *self.bags.items()):
            if rows < 1:
                raise SchemaError(f"`{name}` must have a table of at least 1 row, found {rows}")
            if self.size(name) < 1:
                raise SchemaError(f"`embedding` of {name!r} must be at least 1")
        check_hidden(hidden, self.features, None)
        self._check_options()

    def _check_options(self) -> None:
        object.__setattr__(self, "pooling", dict(self.pooling))
        for name in ("weighted", "wide", "of_group"):
            object.__setattr__(self, name, check_names(getattr(self, name), name))
        if self.numeric < 0:
            raise SchemaError(f"`numeric` must be at least 0, found {self.numeric}")
        known = {
            "pooling": self.bags,
            "weighted": self.bags,
            "wide": (*self.ids, *self.dense),
            "of_group": self.dense,
        }
        for argument, allowed in known.items():
            for name in getattr(self, argument):
                if name not in allowed:
                    raise SchemaError(
                        f"`{argument}` must name some of {tuple(allowed)}, found {name!r}"
                    )
        for name, pooling in self.pooling.items():
            if pooling not in ("mean", "sum"):
                raise SchemaError(
                    f"`pooling` of {name!r} must be 'mean' or 'sum', found {pooling!r}"
                )

    @property
    def features(self) -> tuple[str, ...]:
        """All features: ids, then bags, then dense."""
        return (*self.ids, *self.bags, *self.dense)

    @property
    def shared(self) -> tuple[str, ...]:
        """Features that every tower sees, and the bottom with them."""
        hidden = {column for columns in self.hidden_from.values() for column in columns}
        return tuple(name for name in self.features if name not in hidden)

    def own(self, stage: str) -> tuple[str, ...]:
        """Features that the towers of `stage` see and those of some other stage do not."""
        hidden = self.hidden_from.get(stage, ())
        shared = set(self.shared)
        return tuple(name for name in self.features if name not in shared and name not in hidden)

    def within_groups(self) -> "FeatureSpec":
        """The specification for comparing rows of one group: without the history of the group.

        >>> spec = FeatureSpec(ids={"user": 9}, dense=["price", "user:click"],
        ...                    of_group=["user:click"])
        >>> spec.within_groups().features
        ('user', 'price')
        """
        gone = set(self.of_group)
        return replace(
            self,
            dense=tuple(name for name in self.dense if name not in gone),
            hidden_from={
                stage: tuple(name for name in columns if name not in gone)
                for stage, columns in self.hidden_from.items()
            },
            wide=tuple(name for name in self.wide if name not in gone),
            of_group=(),
        )

    def size(self, name: str) -> int:
        """Width of a feature: an embedding's size; 1 or `numeric` for a dense feature."""
        if name in self.dense:
            return self.numeric or 1
        if isinstance(self.embedding, int):
            return self.embedding
        if name not in self.embedding:
            raise SchemaError(f"`embedding` must give a size for {name!r}, found {self.embedding}")
        return self.embedding[name]

    def width(self, names: Sequence[str]) -> int:
        """Total width of these features."""
        return sum(self.size(name) for name in names)


def check_names(columns: Sequence[str], argument: str) -> tuple[str, ...]:
    """Names as a tuple.

    Raises:
        SchemaError: A single string, which would be read as its letters.
    """
    if isinstance(columns, str):
        raise SchemaError(f"`{argument}` must be a list of columns, found the string {columns!r}")
    return tuple(columns)


def check_hidden(
    hidden: Mapping[str, Sequence[str]], features: Sequence[str], stages: Sequence[str] | None
) -> None:
    """Check that hidden features and their stages exist, and that some stage sees each feature.

    Raises:
        SchemaError: An unknown feature or stage, or a feature hidden from all stages.
    """
    for stage, columns in hidden.items():
        if stages is not None and stage not in stages:
            raise SchemaError(
                f"`hidden_from` must name stages of the funnel {tuple(stages)}, found {stage!r}"
            )
        for column in columns:
            if column not in features:
                raise SchemaError(
                    f"`hidden_from` or `click_only` must name features {tuple(features)}, "
                    f"found {column!r}"
                )
            if stages is not None and all(column in hidden.get(s, ()) for s in stages):
                raise SchemaError(
                    f"feature {column!r} is hidden from every stage: leave it out of the features"
                )
