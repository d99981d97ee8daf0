"""Schema of a log: the roles of its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mtl_seq._files import read_json, write_json
from mtl_seq.errors import SchemaError
from mtl_seq.features import FeatureSpec, check_hidden, check_names
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
        bag_weights: For a bag, the column that holds a list of its items' weights.
        funnel: How the stages depend on each other; by default a chain in the labels' order.
        hidden_from: For a stage, the features its tower must not see. Such a feature bypasses the
            bottom and joins only the towers that may see it.
        click_only: Features that only the click tower sees: hidden from all later stages.
        group: Column of the user (or request) of an impression, for intervals and GAUC.
        time: Column to split by time.
        weight: Column of non-negative row weights. They are used unscaled: scale them to mean 1.
        propensity: Column of the logged probability of the click, in (0, 1).

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
    bag_weights: Mapping[str, str] = field(default_factory=dict)
    funnel: Funnel = None  # type: ignore[assignment]  # filled in by __post_init__
    hidden_from: Mapping[str, Sequence[str]] = field(default_factory=dict)
    click_only: Sequence[str] = ()
    group: str | None = None
    time: str | None = None
    weight: str | None = None
    propensity: str | None = None

    def __post_init__(self) -> None:
        for name in ("ids", "bags", "dense", "click_only"):
            object.__setattr__(self, name, check_names(getattr(self, name), name))
        object.__setattr__(self, "labels", dict(self.labels))
        hidden = {
            s: check_names(c, f"hidden_from[{s!r}]") for s, c in dict(self.hidden_from).items()
        }
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
        check_hidden(self.hidden, self.features, self.funnel.names)

    def _check_roles(self) -> None:
        roles: dict[str, str] = {}
        claims = [(column, "a feature") for column in self.features]
        claims += [(column, f"the label of {stage!r}") for stage, column in self.labels.items()]
        claims += [(c, "the weight") for c in (self.weight,) if c]
        claims += [(c, f"the weights of bag {bag!r}") for bag, c in self.bag_weights.items()]
        claims += [(c, "the propensity") for c in (self.propensity,) if c]
        for column, role in claims:
            if column in roles:
                raise SchemaError(
                    f"column {column!r} must have one role, found two: {roles[column]} and {role}"
                )
            roles[column] = role
        for bag in self.bag_weights:
            if bag not in self.bags:
                raise SchemaError(f"`bag_weights` must name bags {self.bags}, found {bag!r}")
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
            "bag_weights": dict(self.bag_weights),
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
            ArtifactError: Not a schema file, or one of a newer version.
        """
        return cls.from_dict(read_json(path, kind=_KIND, version=_VERSION))
