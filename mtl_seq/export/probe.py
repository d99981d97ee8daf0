"""Random rows to check an exported model on: known ids, unseen ids, bags of any length."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import Codec
from mtl_seq.data.encode.vocabulary import AnyVocabulary, Vocabulary

__all__ = ["probe_rows"]

_LONGEST = 4


def probe_rows(codec: Codec, rows: int, seed: int) -> pd.DataFrame:
    """Draw rows of a codec's features and bag weights, from its vocabularies and scales."""
    rng = np.random.default_rng(seed)
    schema = codec.schema
    columns: dict[str, Any] = {}
    for name in schema.ids:
        columns[name] = _ids(codec.vocabularies[name], rows, rng)
    for name in schema.bags:
        lengths = rng.integers(0, _LONGEST + 1, rows)
        lengths[0] = _LONGEST
        items = _ids(codec.vocabularies[name], int(lengths.sum()), rng)
        ends = np.cumsum(lengths)[:-1]
        columns[name] = [part.tolist() for part in np.split(items, ends)]
        if name in schema.bag_weights:
            shares = np.split(rng.uniform(0, 2, int(lengths.sum())), ends)
            columns[schema.bag_weights[name]] = [part.tolist() for part in shares]
    for name, scale in codec.scales.items():
        columns[name] = rng.normal(scale.mean, scale.deviation, rows)
    return pd.DataFrame(columns)


def _ids(vocabulary: AnyVocabulary, count: int, rng: np.random.Generator) -> NDArray[Any]:
    """Known ids; a quarter are replaced by ids that are almost certainly unseen."""
    known = vocabulary.to_dict().get("keys", [])[:10_000]
    strange = rng.integers(2**40, 2**41, count)
    if isinstance(vocabulary, Vocabulary) and vocabulary.kind == "str":
        unseen = np.array([f"unseen {one}" for one in strange], dtype=object)
        keys = np.array(known, dtype=object)
    else:
        unseen, keys = strange, np.array(known, dtype=np.int64)
    if len(keys) == 0:
        return unseen
    return np.where(rng.random(count) < 0.25, unseen, rng.choice(keys, count))
