"""Encoding settings: how columns become the inputs of a network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from mtl_seq.errors import DataError
from mtl_seq.features import FeatureSpec

__all__ = ["Encoding", "Impute"]

Impute = Literal["mean"] | None
"""Imputation of missing dense values: None for an error, or the training mean."""

_EMBEDDING = 16


@dataclass(frozen=True)
class Encoding:
    """How columns become the inputs of a network.

    Attributes:
        embedding: Embedding size of ids and bags: one for all, or those of some of them, 16 for
            the rest.
        wide: Whether each tower also has a linear term on the ids and numbers it may see.
        target_encoding: Smoothing, in rows, of out-of-fold target encodings of every id, one per
            stage, and of its count; None for none. On by default, since it raised every AUC that
            was measured, on a real log and on simulated ones (docs/esmm_on_mmoe.md); linear terms
            raised some and lowered others.
        buckets: Quantile buckets of each dense column, embedded beside the number; 0 for none.
        numeric: Size of a learned vector of each number; 0 for the number itself.
        min_count: Ids seen less often share the row of unseen ids.
        hashed: By id or bag, the number of rows that its values are hashed into: no value is
            unseen, some share a row, and no vocabulary is stored.
        impute: How missing dense values are imputed: None for an error, or the training mean.

    Raises:
        DataError: An unknown imputation.

    >>> spec = FeatureSpec(ids={"user_id": 9, "day": 7})
    >>> Encoding(embedding={"user_id": 32}).applied(spec).embedding
    {'user_id': 32, 'day': 16}
    """

    embedding: int | Mapping[str, int] = _EMBEDDING
    wide: bool = False
    target_encoding: float | None = 20.0
    buckets: int = 0
    numeric: int = 0
    min_count: int = 1
    impute: Impute = None
    hashed: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.impute not in (None, "mean"):
            raise DataError(f"`impute` must be None or 'mean', found {self.impute!r}")

    def applied(self, spec: FeatureSpec) -> FeatureSpec:
        """Add the settings of the network to a codec's specification.

        Raises:
            DataError: An embedding size of a column that is no id or bag.
        """
        wide = (*spec.ids, *spec.dense) if self.wide else ()
        embedding = self.embedding
        if isinstance(embedding, Mapping):
            embedded = (*spec.ids, *spec.bags)
            unknown = [name for name in embedding if name not in embedded]
            if unknown:
                raise DataError(
                    f"`embedding` must name some of the ids and bags {embedded}, found {unknown}"
                )
            embedding = {name: embedding.get(name, _EMBEDDING) for name in embedded}
        return replace(spec, embedding=embedding, numeric=self.numeric, wide=wide)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; ``Encoding(**content)`` reads it."""
        return asdict(self)
