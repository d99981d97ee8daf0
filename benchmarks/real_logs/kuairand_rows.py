"""The rows of benchmarks/real_logs/kuairand.py, the same for every model, and what is measured on them."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq import Schema
from mtl_seq.data import Codec, Encoding, read_frame
from mtl_seq.functional import auc
from mtl_seq.records import FunnelBatch

CONVERT = Path(__file__).parents[1] / "datasets" / "kuairand-pure" / "convert.py"
DAY = 86_400_000
"""A day in the units of the log's time, milliseconds."""
FloatArray = NDArray[np.float64]


class Part(NamedTuple):
    """Rows to train on, and later ones to be measured on."""

    schema: Schema
    train: pd.DataFrame
    test: pd.DataFrame


class Encoded(NamedTuple):
    """Both parts as other packages take them.

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
    """Training days to 2022-04-28 and test days 04-29 and 30, by the converter."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        command = [sys.executable, str(CONVERT), str(raw), folder, "--conversion", conversion]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        schema = Schema.from_json(out / "schema.json")
        return Part(schema, read_frame(out / "train.parquet"), read_frame(out / "test.parquet"))


def inner(part: Part) -> Part:
    """The training rows alone, their last 24 hours to be measured on: for choosing settings."""
    assert part.schema.time is not None
    time = part.train[part.schema.time]
    late = (time > time.max() - DAY).to_numpy()
    train, test = (part.train[rows].reset_index(drop=True) for rows in (~late, late))
    return Part(part.schema, train, test)


def encoded(part: Part, *, target_encodings: bool) -> Encoded:
    """Vocabularies, scaling and target encodings of our own codec, fitted to the training rows.

    Target encodings of training rows come from the other folds, as our networks see them.
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
    figures: dict[str, float] = {}
    for name, space, label, rows in (
        ("CTR", "all", click, slice(None)),
        ("CVR", "clicks", conversion, clicked),
        ("CTCVR", "all", conversion, slice(None)),
    ):
        score, seen = scores[f"p{name.lower()}"].to_numpy(dtype=np.float64)[rows], label[rows]
        safe = np.clip(score, 1e-12, 1 - 1e-12)
        loss = -(seen * np.log(safe) + (1 - seen) * np.log1p(-safe)).mean()
        area = auc(torch.from_numpy(score.copy()), torch.from_numpy(seen.copy()))
        figures |= {
            f"{name} AUC, {space}": float(area),
            f"{name} log loss, {space}": float(loss),
            f"{name} PCOC, {space}": float(score.mean() / seen.mean()),
        }
    return {name: round(value, 5) for name, value in figures.items()}
