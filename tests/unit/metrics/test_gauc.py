"""GAUC in bounded memory: whole users are sampled, by their ids alone."""

import numpy as np
import pytest
import torch

from mtl_seq.functional import grouped_auc
from mtl_seq.metrics import GAUC
from mtl_seq.metrics.gauc import _sampled


def log(users=4000, rows=60_000, seed=0):
    rng = np.random.default_rng(seed)
    user = rng.integers(users, size=rows)
    p = 1 / (1 + np.exp(1 - rng.normal(size=rows) - rng.normal(size=users)[user]))
    label = (rng.random(rows) < p).astype(np.float32)
    score = np.clip(p + rng.normal(0, 0.1, rows), 0, 1).astype(np.float32)
    return tuple(map(torch.from_numpy, (score, label, user)))


def fed(limit, order, sizes, columns):
    metric = GAUC(limit=limit)
    for rows in torch.split(order, sizes):
        metric.update(*(column[rows] for column in columns))
    return metric


def test_a_hash_halves_the_users_again_and_again():
    """Of 100,000 ids in a row: within 5 standard deviations of the share, and nested."""
    ids = torch.arange(100_000) * 7 - 300_000
    before = torch.ones(len(ids), dtype=torch.bool)
    for level in range(1, 8):
        stays = _sampled(ids, level)
        share = 0.5**level
        assert abs(stays.double().mean() - share) < 5 * (share * (1 - share) / len(ids)) ** 0.5
        assert not (stays & ~before).any()
        before = stays


def test_the_hash_is_splitmix64():
    mask = 2**64 - 1

    def reference(z):
        z = z & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    ids = [0, 1, -1, 2**62, -(2**63), 12345678901234]
    for level in (1, 5, 20):
        expected = [reference(i) % 2**level == 0 for i in ids]
        assert _sampled(torch.tensor(ids), level).tolist() == expected


@pytest.mark.parametrize("limit", [1000, 10_000, 59_999])
def test_neither_order_nor_size_of_batches_matters(limit):
    columns = log()
    rows = len(columns[0])
    rng = np.random.default_rng(1)
    found = [
        fed(limit, order, sizes, columns)
        for order, sizes in (
            (torch.arange(rows), rows),
            (torch.from_numpy(rng.permutation(rows)), 997),
            (torch.argsort(columns[2]), 5000),
        )
    ]
    values = [float(metric.compute()) for metric in found]
    assert values[1:] == pytest.approx(values[:1] * 2, abs=1e-13)
    assert {metric.share for metric in found} == {found[0].share}
    assert found[0].share < 1
    for metric in found:
        assert sum(map(len, metric.group)) <= limit
        metric_users = torch.cat(metric.group).unique()
        kept = torch.isin(columns[2], metric_users)
        whole = grouped_auc(*(column[kept] for column in columns))
        assert float(metric.compute()) == pytest.approx(float(whole.value), abs=1e-13)
        assert metric.coverage == pytest.approx(float(whole.coverage), abs=1e-13)


def test_a_sample_of_users_estimates_the_whole():
    """A quarter of 4,000 users: within 4 standard errors of the mean of user AUCs."""
    columns = log()
    whole = float(grouped_auc(*columns).value)
    metric = fed(16_000, torch.arange(len(columns[0])), 8000, columns)
    assert metric.share == 0.25
    own = [
        float(grouped_auc(*(column[columns[2] == user] for column in columns)).value)
        for user in range(400)
    ]
    error = np.nanstd(own) / np.sqrt(0.25 * 4000)
    assert abs(float(metric.compute()) - whole) < 4 * error


def test_all_rows_are_kept_up_to_the_limit():
    columns = log(rows=500)
    metric = fed(500, torch.arange(500), 100, columns)
    assert metric.share == 1
    assert float(metric.compute()) == pytest.approx(float(grouped_auc(*columns).value), abs=1e-14)


def test_before_anything_is_computed_there_is_no_coverage():
    assert np.isnan(GAUC().coverage)
