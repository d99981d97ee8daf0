"""Resampling by user: sums, weighted AUC and the width of the intervals that follow."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mtl_seq.functional import auc
from mtl_seq.report.compute.bootstrap import (
    LEVEL,
    RankedTarget,
    drawn_counts,
    group_sums,
    resampled_sums,
    resamples,
)
from mtl_seq.report.compute.metrics import EvaluationTarget, measure

Z = 1.6448536  # the normal's 95% quantile, for an interval at 90%


def test_group_sums_are_those_of_a_groupby():
    rng = np.random.default_rng(0)
    group = rng.integers(7, size=300)
    group[group == 4] = 5  # a group without rows
    columns = rng.standard_normal((300, 3))
    expected = pd.DataFrame(columns).groupby(group).sum().reindex(range(9), fill_value=0.0)
    np.testing.assert_allclose(group_sums(columns, group, 9), expected, rtol=1e-12, atol=1e-12)


def test_a_resample_draws_as_many_groups_as_there_are():
    drawn = np.stack(list(resamples(30, 400, 0)))
    assert drawn.shape == (400, 30)
    assert (drawn.sum(1) == 30).all()
    # Each count is binomial(30, 1/30): mean 1, variance 29/30.
    sigma = np.sqrt(29 / 30 / 400)
    assert (np.abs(drawn.mean(0) - 1) <= 5 * sigma).all()
    assert drawn.var() == pytest.approx(29 / 30, rel=0.05)


def test_one_seed_gives_one_series_of_resamples():
    one, same, other = (np.stack(list(resamples(30, 5, seed))) for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_counts_are_the_resamples_and_sums_follow():
    counts = drawn_counts(30, 60, 3)
    expected = np.stack(list(resamples(30, 60, 3)))
    assert np.array_equal(torch.cat(counts, dim=1).numpy().T, expected)
    assert [block.shape for block in counts] == [(30, 50), (30, 10)]
    sums = np.random.default_rng(0).random((30, 4))
    np.testing.assert_allclose(resampled_sums(sums, counts), expected @ sums, rtol=1e-13)


@pytest.mark.parametrize("values", [1, 2, 20, 10**9])
@pytest.mark.parametrize("seed", range(3))
def test_auc_with_counts_is_that_of_the_rows_repeated(seed, values):
    rng = np.random.default_rng(seed)
    score = rng.integers(values, size=200) / values  # with ties
    label = (rng.random(200) < 0.2 + 0.5 * score).astype(np.float64)
    group = rng.integers(40, size=200)
    ranked = RankedTarget(score, label, group)
    assert ranked.auc() == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    counts = drawn_counts(40, 60, seed)
    found = ranked.resampled(counts)
    for own, times in zip(found, torch.cat(counts, dim=1).T.numpy()[:, group], strict=True):
        expected = roc_auc_score(np.repeat(label, times), np.repeat(score, times))
        assert own == pytest.approx(expected, abs=1e-12)


def test_auc_against_probabilities_is_that_of_both_labels_weighted_by_them():
    rng = np.random.default_rng(0)
    score, target = rng.random(200), rng.random(200)
    group = rng.integers(40, size=200)
    counts = drawn_counts(40, 5, 0)
    found = RankedTarget(score, target, group).resampled(counts)
    for own, times in zip(found, torch.cat(counts, dim=1).T.numpy()[:, group], strict=True):
        expected = roc_auc_score(
            np.repeat([1, 0], 200),
            np.tile(score, 2),
            sample_weight=np.concatenate((times * target, times * (1 - target))),
        )
        assert own == pytest.approx(expected, abs=1e-7)  # single precision within a bin


def test_bins_of_rank_move_the_auc_by_less_than_stated():
    """300,000 different scores in 16,384 bins, and runs of ties of up to 100,000 rows."""
    rng = np.random.default_rng(0)
    score = rng.normal(size=300_000)
    target = 1 / (1 + np.exp(2 - score))
    group = rng.integers(2000, size=300_000)
    once = [torch.ones((2000, 1), dtype=torch.uint8)]
    for scores in (score, np.round(score)):
        ranked = RankedTarget(scores, target, group)
        exact = float(auc(scores, target))
        assert ranked.auc() == pytest.approx(exact, abs=1e-13)
        assert ranked.resampled(once)[0] == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_auc_is_undefined_without_both_labels(label):
    ranked = RankedTarget(np.arange(4) / 4, np.full(4, label), np.arange(4))
    assert np.isnan(ranked.auc())
    assert np.isnan(ranked.resampled([torch.ones((4, 3), dtype=torch.uint8)])).all()


def test_auc_of_no_rows_is_undefined():
    ranked = RankedTarget(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64))
    assert np.isnan(ranked.auc())
    assert np.isnan(ranked.resampled([torch.ones((4, 3), dtype=torch.uint8)])).all()


def interval(values, group):
    """Interval of the mean of some values, as the mean bias of predictions against nothing."""
    everywhere = EvaluationTarget(
        "pcvr", "all", np.ones(len(values), dtype=bool), np.zeros(len(values))
    )
    found = measure({"m": {"pcvr": values}}, [everywhere], group, replicates=400, seed=0)
    row = found.table[found.table["metric"] == "mean_bias"].iloc[0]
    assert row["value"] == pytest.approx(values.mean())
    assert row["low"] < row["value"] < row["high"]
    return row["high"] - row["low"]


def test_the_interval_of_a_mean_is_as_wide_as_normal_theory_says():
    assert LEVEL == 0.9
    values = np.random.default_rng(1).random(2000)
    width = interval(values, np.arange(2000))
    assert width == pytest.approx(2 * Z * values.std() / np.sqrt(2000), rel=0.2)


def test_rows_of_one_user_count_as_one_draw():
    # 200 users with 10 equal rows each: the interval is that of 200 values, not of 2,000.
    own = np.random.default_rng(1).random(200)
    width = interval(np.repeat(own, 10), np.repeat(np.arange(200), 10))
    assert width == pytest.approx(2 * Z * own.std() / np.sqrt(200), rel=0.2)


def test_the_interval_of_the_relative_bias_covers_it_as_often_as_it_says():
    """200 logs of 250 users each, seed 0: 90% intervals cover 85 to 95 times in 100.

    A user's rows share a rate and an error. Rates are lognormal, and the relative bias over all
    users there could be is E[q e] / E[q] - 1 = 0.2.
    """
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        user = np.repeat(np.arange(250), rng.integers(1, 20, size=250))
        rate = 0.05 * rng.lognormal(0, 0.5, 250)
        error = rng.uniform(0.8, 1.6, 250)
        q = rate[user] * rng.uniform(0.5, 1.5, len(user))
        label = (rng.random(len(user)) < q).astype(np.float64)
        asked = [EvaluationTarget("pcvr", "all", np.ones(len(user), dtype=bool), label)]
        found = measure({"m": {"pcvr": q * error[user]}}, asked, user, replicates=200, seed=1).table
        row = found.set_index("metric").loc["relative_bias"]
        covered += row["low"] <= 0.2 <= row["high"]
    assert 170 <= covered <= 190
