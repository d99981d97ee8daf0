"""GAUC against scikit-learn user by user."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mtl_seq.errors import DataError
from mtl_seq.functional import auc, grouped_auc

ROWS = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(0, 1), st.integers(0, 4), st.integers(1, 4)),
    min_size=1,
    max_size=30,
)


def draw(seed, values, users=30, rows=400):
    rng = np.random.default_rng(seed)
    score = (rng.integers(values, size=rows) - values // 2) / values
    label = (rng.random(rows) < 0.3 + 0.4 * score).astype(np.float64)
    return score, label, rng.integers(users, size=rows), rng.random(rows) * (rng.random(rows) < 0.9)


def reference(score, label, group, weight, share):
    values, shares, total = [], [], 0.0
    for user in np.unique(group):
        own = (group == user) & (weight > 0)
        total += share[group == user].sum()
        if len(np.unique(label[own])) == 2:
            values.append(roc_auc_score(label[own], score[own], sample_weight=weight[own]))
            shares.append(share[group == user].sum())
    return np.average(values, weights=shares), np.sum(shares) / total, len(values)


@pytest.mark.parametrize("values", [2, 20, 2**20, 10**9])  # 10^9: beyond float32
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_average_of_scikit_learns(seed, values, weighted):
    score, label, group, weight = draw(seed, values)
    w = weight if weighted else np.ones_like(weight)
    value, coverage, defined = reference(score, label, group, w, w)
    found = grouped_auc(score, label, group, weight=weight if weighted else None)
    assert float(found.value) == pytest.approx(value, abs=1e-12)
    assert float(found.coverage) == pytest.approx(coverage, abs=1e-12)
    assert (int(found.groups), int(found.defined)) == (len(np.unique(group)), defined)


def test_users_can_be_averaged_by_their_clicks():
    score, label, group, _ = draw(0, 20)
    click = (np.random.default_rng(1).random(400) < 0.4).astype(np.float64)
    value, coverage, _ = reference(score, label, group, np.ones(400), click)
    found = grouped_auc(score, label, group, share=click)
    assert float(found.value) == pytest.approx(value, abs=1e-12)
    assert float(found.coverage) == pytest.approx(coverage, abs=1e-12)


def test_ids_may_be_any_integers():
    score, label, group, _ = draw(0, 20)
    ids = np.random.default_rng(2).integers(-(2**62), 2**62, size=30)
    expected = grouped_auc(score, label, group)
    assert float(grouped_auc(score, label, ids[group]).value) == pytest.approx(
        float(expected.value), abs=1e-14
    )


def test_one_user_is_the_plain_auc():
    score, label, _, weight = draw(3, 20)
    found = grouped_auc(score, label, np.full(400, 7), weight=weight)
    assert float(found.value) == pytest.approx(float(auc(score, label, weight)), abs=1e-12)
    assert float(found.coverage) == 1


def test_scores_of_either_sign_and_zero_are_ordered():
    score = torch.tensor([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0])
    label = torch.tensor([0, 0, 1, 0, 1, 1])
    found = grouped_auc(score, label, torch.zeros(6, dtype=torch.int64))
    assert float(found.value) == pytest.approx(8.5 / 9, abs=1e-15)


def test_users_of_one_class_are_left_out_and_told():
    found = grouped_auc(np.arange(4.0), np.ones(4), np.array([0, 0, 1, 1]))
    assert torch.isnan(found.value)
    assert (float(found.coverage), int(found.groups), int(found.defined)) == (0.0, 2, 0)


def test_no_rows_give_nan():
    found = grouped_auc(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64))
    assert torch.isnan(found.value)
    assert torch.isnan(found.coverage)
    assert int(found.groups) == 0


def test_ids_must_be_integers_of_the_same_rows():
    with pytest.raises(DataError, match=r"`group` must hold 2 integer ids, found torch.float64"):
        grouped_auc(np.zeros(2), np.zeros(2), np.zeros(2))
    with pytest.raises(DataError, match=r"found torch.int64 of shape \(3,\)"):
        grouped_auc(np.zeros(2), np.zeros(2), np.zeros(3, dtype=np.int64))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(rows=ROWS)
def test_turning_the_scores_round_gives_the_complement(rows):
    score, label, group, weight = np.array(rows).T
    found = grouped_auc(score.astype(float), label, group, weight=weight.astype(float))
    turned = grouped_auc(-score.astype(float), label, group, weight=weight.astype(float))
    assert float(turned.value) == pytest.approx(1 - float(found.value), abs=1e-12, nan_ok=True)
    assert float(turned.coverage) == float(found.coverage)
