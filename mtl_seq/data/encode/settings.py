"""How columns become the input of a network: what is open once the roles are declared."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from mtl_seq.errors import DataError
from mtl_seq.features import FeatureSpec

__all__ = ["Encoding", "Impute"]

Impute = Literal["mean"] | None
"""What becomes of a missing dense value: an error, or the training mean."""

_EMBEDDING = 16


@dataclass(frozen=True)
class Encoding:
    """Settings of the way from columns to vectors.

    Attributes:
        embedding: Embedding size of ids and bags: one for all, or those of some of them, 16 for
            the rest.
        wide: Whether each tower also has a linear term on the ids and numbers it may see.
        target_encoding: Smoothing, in rows, of out-of-fold target encodings of every id, one per
            stage, and its count; None for none. On by default: it raised the AUC of every figure
            measured, on a real log and in simulated ones (docs/esmm_on_mmoe.md). Linear terms
            raised some and lowered others.
        buckets: Quantile buckets of each dense column, embedded beside the number; 0 for none.
        numeric: Size of a learned vector of each number; 0 hands it on as it is.
        min_count: Ids seen less often share the row of the unseen.
        hashed: Ids and bags of open vocabularies, and into how many rows their values are hashed;
            no value of theirs is unseen, some share a row, and no list of them is kept.
        impute: What becomes of a missing dense value: an error, or the training mean.

    Raises:
        DataError: Another way to impute.

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
        """A codec's spec with the settings that concern the network.

        Raises:
            DataError: An embedding size for what is no id or bag.
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
