"""Training and test rows of the KuaiRand study, the same for every model, and their metrics."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.lib.datasets import converted
from benchmarks.lib.metrics import area, cross_entropy
from mtl_seq import Schema
from mtl_seq.data import Codec, Encoding, read_frame
from mtl_seq.records import FunnelBatch

DAY = 86_400_000
"""A day in the units of the log's time, milliseconds."""
FloatArray = NDArray[np.float64]


class Part(NamedTuple):
    """Training rows, and later ones to measure on."""

    schema: Schema
    train: pd.DataFrame
    test: pd.DataFrame


class Encoded(NamedTuple):
    """Both parts as inputs of other packages.

    Attributes:
        sizes: How many values each id has; every code is below.
        ids: Codes ``(N,)`` by name, of the training and of the test rows.
        dense: ``(N, D)`` numbers of both.
        click: ``(N,)`` labels of the training rows.
        conversion: ``(N,)`` likewise.
    """

    sizes: dict[str, int]
    ids: tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.int64]]]
    dense: tuple[NDArray[np.float32], NDArray[np.float32]]
    click: NDArray[np.float32]
    conversion: NDArray[np.float32]


def read(raw: Path, conversion: str) -> Part:
    """Training days to 2022-04-28 and test days 04-29 and 30."""
    with converted("kuairand-pure", raw, "--conversion", conversion) as folder:
        schema = Schema.from_json(folder / "schema.json")
        train, test = (read_frame(folder / f"{name}.parquet") for name in ("train", "test"))
        return Part(schema, train, test)


def inner(part: Part) -> Part:
    """The training rows alone, their last 24 hours held out: for choosing settings."""
    assert part.schema.time is not None
    time = part.train[part.schema.time]
    late = (time > time.max() - DAY).to_numpy()
    train, test = (part.train[rows].reset_index(drop=True) for rows in (~late, late))
    return Part(part.schema, train, test)


def encoded(part: Part, *, target_encodings: bool) -> Encoded:
    """Encode both parts by our codec, fitted to the training rows.

    Target encodings of training rows come from the other folds, as for our networks.
    """
    encoding = Encoding() if target_encodings else Encoding(target_encoding=None)
    codec = Codec.fit_with(encoding, part.schema, part.train)
    train, test = codec.encode_training(part.train), codec.encode(part.test)
    assert train.labels is not None

    def ids(batch: FunnelBatch) -> dict[str, NDArray[np.int64]]:
        return {name: batch.features[name].numpy() for name in codec.spec.ids}

    def dense(batch: FunnelBatch) -> NDArray[np.float32]:
        return np.stack([batch.features[name].numpy() for name in codec.spec.dense], axis=1)

    return Encoded(
        dict(codec.spec.ids),
        (ids(train), ids(test)),
        (dense(train), dense(test)),
        train.labels.click.numpy(),
        train.labels.conversion.numpy(),
    )


def measure(scores: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    """AUC, log loss and PCOC of the three probabilities, each on its space.

    Args:
        scores: Columns ``pctr``, ``pcvr`` and ``pctcvr`` of the test rows.
        test: Their labels.
    """
    click, conversion = (test[name].to_numpy(dtype=np.float64) for name in ("click", "conversion"))
    clicked = click == 1
    metrics: dict[str, float] = {}
    for name, space, label, rows in (
        ("CTR", "all", click, slice(None)),
        ("CVR", "clicks", conversion, clicked),
        ("CTCVR", "all", conversion, slice(None)),
    ):
        score, target = scores[f"p{name.lower()}"].to_numpy(dtype=np.float64)[rows], label[rows]
        metrics |= {
            f"{name} AUC, {space}": area(score, target),
            f"{name} log loss, {space}": cross_entropy(score, target),
            f"{name} PCOC, {space}": float(score.mean() / target.mean()),
        }
    return metrics
