"""Other packages in the KuaiRand study: each a function from rows to scores.

The networks have the sizes of ours: embedding size 16, four experts of widths 64 and 32, towers of
width 32 behind them. ESMM, which has no experts here, has towers of widths 64 and 32. Losses and
optimisers are theirs. torch-rechub's and deepctr-torch's MMoE learn the click and the conversion,
both over all impressions, as their examples do, so that their pCVR is the quotient.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from benchmarks.lib.study import quiet
from benchmarks.real_logs.kuairand_rows import Encoded, FloatArray

__all__ = ["PEERS", "Peer"]

EMBEDDING, EXPERTS, EXPERT, TOWER, ESMM_TOWER = 16, 4, (64, 32), (32,), (64, 32)
BATCH = 256
BUCKETS = 10
FEW = 100
"""Ids of at most so many values are categories to LightGBM; of others it gets the encodings."""
Settings = Mapping[str, Any]


class Peer(NamedTuple):
    """A way to score the test rows.

    Attributes:
        fit: Takes rows, settings of the click model and of the conversion model, and a seed.
        settings: Those to choose from on the inner split, by name.
        target_encodings: Whether the rows have target encodings.
        apart: Whether clicks and conversions have separate models, whose settings differ.
        random: Whether the result depends on the seed.
    """

    fit: Callable[[Encoded, Settings, Settings, int], pd.DataFrame]
    settings: Mapping[str, Settings]
    target_encodings: bool
    apart: bool = False
    random: bool = True


def logistic(rows: Encoded, ctr: Settings, cvr: Settings, seed: int) -> pd.DataFrame:
    """scikit-learn, one-hot ids and numbers: clicks on all rows, conversions on clicks."""
    from sklearn.linear_model import LogisticRegression

    x, x_test = (
        sparse.hstack([*one_hot(ids, rows.sizes), sparse.csr_matrix(dense)], format="csr")
        for ids, dense in zip(rows.ids, rows.dense, strict=True)
    )
    clicked = rows.click == 1
    scores = []
    for settings, part, label in (
        (ctr, slice(None), rows.click),
        (cvr, clicked, rows.conversion),
    ):
        model = LogisticRegression(**settings, max_iter=500, random_state=seed)
        scores.append(model.fit(x[part], label[part]).predict_proba(x_test)[:, 1])
    return product(*scores)


def one_hot(
    ids: Mapping[str, NDArray[np.int64]], sizes: Mapping[str, int]
) -> Iterator[sparse.csr_matrix]:
    """One-hot matrices of the ids."""
    for name, codes in ids.items():
        place = (np.arange(len(codes)), codes)
        yield sparse.csr_matrix((np.ones(len(codes)), place), shape=(len(codes), sizes[name]))


def boosted(rows: Encoded, ctr: Settings, cvr: Settings, seed: int) -> pd.DataFrame:
    """LightGBM: clicks on all rows, conversions on clicks."""
    from lightgbm import LGBMClassifier

    few = [name for name, size in rows.sizes.items() if size <= FEW]
    x, x_test = (
        np.column_stack([dense, *(ids[name] for name in few)])
        for ids, dense in zip(rows.ids, rows.dense, strict=True)
    )
    categories = list(range(rows.dense[0].shape[1], x.shape[1]))
    clicked = rows.click == 1
    scores = []
    for settings, part, label in ((ctr, slice(None), rows.click), (cvr, clicked, rows.conversion)):
        model = LGBMClassifier(
            learning_rate=0.05, subsample=0.8, subsample_freq=1, colsample_bytree=0.5,
            min_child_samples=50, n_jobs=1, verbose=-1, random_state=seed, **settings,
        )  # fmt: skip
        with quiet():
            model.fit(x[part], label[part], categorical_feature=categories)
            scores.append(model.predict_proba(x_test)[:, 1])
    return product(*scores)


def rechub(kind: str, rows: Encoded, settings: Settings, _: Settings, seed: int) -> pd.DataFrame:
    """Models of torch-rechub under its `MTLTrainer`, whose loader collates row by row.

    Batches replace that loader: the same steps in a tenth of the time. Its ESMM takes ids only, so
    that numbers become ids, in quantile buckets.
    """
    from torch_rechub.basic.features import DenseFeature, SparseFeature
    from torch_rechub.models.multi_task import ESMM, MMOE
    from torch_rechub.trainers import MTLTrainer

    sizes, (train, test) = bucketed(rows) if kind == "ESMM" else (rows.sizes, rows.ids)
    ids = [SparseFeature(n, vocab_size=v, embed_dim=EMBEDDING) for n, v in sizes.items()]
    tensors = [{n: torch.from_numpy(x) for n, x in part.items()} for part in (train, test)]
    tower = {"dims": list(EXPERT if kind == "ESMM" else TOWER)}
    click, conversion = torch.from_numpy(rows.click), torch.from_numpy(rows.conversion)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        if kind == "ESMM":
            # Its labels: CVR, which has no loss, then CTR and CTCVR.
            labels = torch.stack([conversion, click, conversion], dim=1)
            half = len(ids) // 2
            network = ESMM(ids[:half], ids[half:], cvr_params=tower, ctr_params=tower)
        else:
            labels = torch.stack([click, conversion], dim=1)
            for part, dense in zip(tensors, rows.dense, strict=True):
                part["dense"] = torch.from_numpy(dense)
            numbers = DenseFeature("dense", embed_dim=rows.dense[0].shape[1])
            expert, tasks = {"dims": list(EXPERT)}, ["classification"] * 2
            network = MMOE([*ids, numbers], tasks, EXPERTS, expert, [tower, tower])
        trainer = MTLTrainer(
            network,
            ["classification"] * labels.shape[1],
            optimizer_params={"lr": settings["lr"], "weight_decay": 1e-5},
        )
        for _epoch in range(settings["epochs"]):
            order = torch.randperm(len(labels)).split(BATCH)
            trainer.train_one_epoch([(taken(tensors[0], index), labels[index]) for index in order])
        test_order = torch.arange(len(rows.dense[1])).split(8192)
        batches = [taken(tensors[1], index) for index in test_order]
        scores = np.array(trainer.predict(network, batches))
    return quotient(scores[:, -2], scores[:, -1])


def deepctr(kind: str, rows: Encoded, settings: Settings, _: Settings, seed: int) -> pd.DataFrame:
    """Models of deepctr-torch: `compile`, `fit`, `predict`."""
    with quiet():
        from deepctr_torch.inputs import DenseFeat, SparseFeat
        from deepctr_torch.models import ESMM, MMOE

    columns = [
        SparseFeat(n, vocabulary_size=v, embedding_dim=EMBEDDING) for n, v in rows.sizes.items()
    ]
    columns.append(DenseFeat("dense", rows.dense[0].shape[1]))
    # A copy each time: `fit` reshapes the columns it is given.
    train, test = ({**i, "dense": d} for i, d in zip(rows.ids, rows.dense, strict=True))
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        if kind == "ESMM":
            network = ESMM(columns, tower_dnn_hidden_units=ESMM_TOWER, seed=seed)
        else:
            network = MMOE(
                columns,
                num_experts=EXPERTS,
                expert_dnn_hidden_units=EXPERT,
                gate_dnn_hidden_units=(),  # linear gates, as in the paper
                tower_dnn_hidden_units=TOWER,
                seed=seed,
            )
        optimizer = torch.optim.Adam(network.parameters(), lr=settings["lr"])
        network.compile(optimizer, loss=["binary_crossentropy"] * 2, metrics=[])
        y = np.stack([rows.click, rows.conversion], axis=1)
        network.fit(train, y, batch_size=BATCH, epochs=settings["epochs"], verbose=0)
        scores = network.predict(test, batch_size=8192)
    return quotient(scores[:, 0], scores[:, 1])


def taken(features: Mapping[str, Tensor], index: Tensor) -> dict[str, Tensor]:
    """Rows of a batch."""
    return {name: column[index] for name, column in features.items()}


def bucketed(
    rows: Encoded,
) -> tuple[dict[str, int], tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.int64]]]]:
    """Ids, and every number as an id: its quantile bucket in the training rows."""
    sizes, (train, test) = dict(rows.sizes), (dict(rows.ids[0]), dict(rows.ids[1]))
    for k, numbers in enumerate(rows.dense[0].T):
        cuts = np.unique(np.quantile(numbers, np.linspace(0, 1, BUCKETS + 1)[1:-1]))
        sizes[f"dense {k}"] = len(cuts) + 1
        for part, dense in zip((train, test), rows.dense, strict=True):
            part[f"dense {k}"] = np.searchsorted(cuts, dense[:, k], side="right")
    return sizes, (train, test)


def product(pctr: FloatArray, pcvr: FloatArray) -> pd.DataFrame:
    """Scores of separate models of clicks and of conversions."""
    return pd.DataFrame({"pctr": pctr, "pcvr": pcvr, "pctcvr": pctr * pcvr})


def quotient(pctr: FloatArray, pctcvr: FloatArray) -> pd.DataFrame:
    """Scores of a model whose CVR is a quotient; at most 1."""
    pcvr = np.minimum(pctcvr / np.maximum(pctr, 1e-12), 1)
    return pd.DataFrame({"pctr": pctr, "pcvr": pcvr, "pctcvr": pctcvr})


_NEURAL = {
    f"lr {lr}, epochs {n}": {"lr": lr, "epochs": n}
    for lr, n in ((1e-3, 1), (1e-3, 2), (5e-3, 1), (5e-3, 2), (1e-2, 1))
}
_PENALTIES = {f"C {c}": {"C": c} for c in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)}
_TREES = {
    f"leaves {leaves}, trees {trees}": {"num_leaves": leaves, "n_estimators": trees}
    for leaves in (4, 7, 15, 31)
    for trees in (50, 100, 200, 400)
    if leaves * trees <= 31 * 200
}
_NETWORKS = {
    f"{package} {kind}": partial(fit, kind)
    for package, fit in (("torch-rechub", rechub), ("deepctr-torch", deepctr))
    for kind in ("ESMM", "MMoE")
}
_ENCODED = ", target encodings"
PEERS: Mapping[str, Peer] = {
    "logistic regression": Peer(logistic, _PENALTIES, False, apart=True, random=False),
    f"logistic regression{_ENCODED}": Peer(logistic, _PENALTIES, True, apart=True, random=False),
    f"LightGBM{_ENCODED}": Peer(boosted, _TREES, True, apart=True),
    **{name: Peer(fit, _NEURAL, False) for name, fit in _NETWORKS.items()},
    **{f"{name}{_ENCODED}": Peer(fit, _NEURAL, True) for name, fit in _NETWORKS.items()},
}
"""By name. ``, target encodings``: with those of our codec beside the ids and numbers."""
