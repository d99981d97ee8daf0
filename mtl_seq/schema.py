"""What the columns of a log are, and what a network must know of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mtl_seq._files import read_json, write_json
from mtl_seq.errors import SchemaError
from mtl_seq.funnel import Funnel

__all__ = ["FeatureSpec", "Schema"]

_KIND, _VERSION = "mtl_seq.schema", 1


@dataclass(frozen=True)
class Schema:
    """The role of every column of a log.

    Attributes:
        labels: Label column of each stage, in the funnel's order, the click first.
        ids: Categorical columns: integers or strings.
        bags: Columns that hold a list of ids in each row.
        dense: Numeric columns.
        funnel: How the stages depend on each other; by default a chain in the labels' order.
        hidden_from: For a stage, the features its tower must not see. Such a feature bypasses the
            bottom and joins only the towers that may see it.
        click_only: Features that only the click tower sees: short for hidden from all later stages.
        group: Column that says whose impression it is (the user), for intervals and GAUC.
        time: Column to split by.
        weight: Column of non-negative row weights. They are used as they are: scale them to mean 1.
        propensity: Column of the logged probability of the click, in (0, 1].

    Raises:
        SchemaError: A column has two roles, or a hidden feature is unknown or hidden from all.

    >>> schema = Schema(labels={"click": "is_click", "conversion": "is_order"}, ids=["user_id"])
    >>> schema.funnel.names
    ('click', 'conversion')
    """

    labels: Mapping[str, str]
    ids: Sequence[str] = ()
    bags: Sequence[str] = ()
    dense: Sequence[str] = ()
    funnel: Funnel = None  # type: ignore[assignment]  # filled in by __post_init__
    hidden_from: Mapping[str, Sequence[str]] = field(default_factory=dict)
    click_only: Sequence[str] = ()
    group: str | None = None
    time: str | None = None
    weight: str | None = None
    propensity: str | None = None

    def __post_init__(self) -> None:
        for name in ("ids", "bags", "dense", "click_only"):
            object.__setattr__(self, name, _names(getattr(self, name), name))
        object.__setattr__(self, "labels", dict(self.labels))
        hidden = {s: _names(c, f"hidden_from[{s!r}]") for s, c in dict(self.hidden_from).items()}
        object.__setattr__(self, "hidden_from", hidden)
        if not self.labels:
            raise SchemaError("`labels` must name at least the click's column, found none")
        if cast("Funnel | None", self.funnel) is None:
            object.__setattr__(self, "funnel", Funnel.chain(*self.labels))
        if tuple(self.labels) != self.funnel.names:
            raise SchemaError(
                f"`labels` must name the funnel's stages in its order {self.funnel.names}, "
                f"found {tuple(self.labels)}"
            )
        self._check_roles()
        _check_hidden(self.hidden, self.features, self.funnel.names)

    def _check_roles(self) -> None:
        roles: dict[str, str] = {}
        claims = [(column, "a feature") for column in self.features]
        claims += [(column, f"the label of {stage!r}") for stage, column in self.labels.items()]
        claims += [(c, "the weight") for c in (self.weight,) if c]
        claims += [(c, "the propensity") for c in (self.propensity,) if c]
        for column, role in claims:
            if column in roles:
                raise SchemaError(
                    f"column {column!r} must have one role, found two: {roles[column]} and {role}"
                )
            roles[column] = role
        if not self.features:
            raise SchemaError("`ids`, `bags` or `dense` must name at least one feature, found none")

    @property
    def features(self) -> tuple[str, ...]:
        """All feature columns: ids, then bags, then dense."""
        return (*self.ids, *self.bags, *self.dense)

    @property
    def hidden(self) -> dict[str, tuple[str, ...]]:
        """`hidden_from` with `click_only` resolved into it."""
        later = self.funnel.names[1:]
        both = {
            stage: (*self.hidden_from.get(stage, ()), *(self.click_only if stage in later else ()))
            for stage in (*self.funnel.names, *self.hidden_from)
        }
        return {stage: tuple(dict.fromkeys(columns)) for stage, columns in both.items() if columns}

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `from_dict` reads it."""
        return {
            "labels": dict(self.labels),
            "ids": list(self.ids),
            "bags": list(self.bags),
            "dense": list(self.dense),
            "funnel": self.funnel.to_dict(),
            "hidden_from": {stage: list(columns) for stage, columns in self.hidden_from.items()},
            "click_only": list(self.click_only),
            "group": self.group,
            "time": self.time,
            "weight": self.weight,
            "propensity": self.propensity,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Schema":
        """Read what `to_dict` wrote; every key but `labels` may be absent."""
        known = set(cls.__dataclass_fields__)
        unknown = sorted(set(content) - known - {"format"})
        if unknown:
            raise SchemaError(f"a schema has no key {unknown[0]!r}: known are {sorted(known)}")
        if "labels" not in content:
            raise SchemaError("a schema must have the key 'labels': stage -> column")
        kept = {key: value for key, value in content.items() if key in known and value is not None}
        if "funnel" in kept:
            kept["funnel"] = Funnel.from_dict(kept["funnel"])
        return cls(**kept)

    def to_json(self, path: str | Path) -> None:
        """Write the schema to a file."""
        write_json(path, self.to_dict(), kind=_KIND, version=_VERSION)

    @classmethod
    def from_json(cls, path: str | Path) -> "Schema":
        """Read a schema from a file.

        Raises:
            ArtifactError: The file is no schema of a version this code reads.
        """
        return cls.from_dict(read_json(path, kind=_KIND, version=_VERSION))


@dataclass(frozen=True)
class FeatureSpec:
    """What a network must know of the features.

    Attributes:
        ids: Number of rows of each id's table. Ids run from 0, which only ever means "unseen".
        bags: The same for bags.
        dense: Numeric features.
        hidden_from: For a stage, the features its tower must not see.
        embedding: Embedding size, one for all or one per id or bag.

    Raises:
        SchemaError: A table without rows, a size below 1, or a hidden feature that is unknown.

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", dict(self.ids))
        object.__setattr__(self, "bags", dict(self.bags))
        object.__setattr__(self, "dense", _names(self.dense, "dense"))
        hidden = {s: _names(c, f"hidden_from[{s!r}]") for s, c in dict(self.hidden_from).items()}
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
        _check_hidden(hidden, self.features, None)

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

    def size(self, name: str) -> int:
        """Embedding size of an id or bag; 1 for a dense feature."""
        if name in self.dense:
            return 1
        if isinstance(self.embedding, int):
            return self.embedding
        if name not in self.embedding:
            raise SchemaError(f"`embedding` must give a size for {name!r}, found {self.embedding}")
        return self.embedding[name]

    def width(self, names: Sequence[str]) -> int:
        """Width of these features side by side."""
        return sum(self.size(name) for name in names)


def _names(columns: Sequence[str], argument: str) -> tuple[str, ...]:
    if isinstance(columns, str):
        raise SchemaError(f"`{argument}` must be a list of columns, found the string {columns!r}")
    return tuple(columns)


def _check_hidden(
    hidden: Mapping[str, Sequence[str]], features: Sequence[str], stages: Sequence[str] | None
) -> None:
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
