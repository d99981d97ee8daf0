"""AUC against scikit-learn, a sum over pairs, and its own invariances."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mtl_seq.errors import DataError
from mtl_seq.functional import auc, rank, ranked_auc

# All are strictly increasing on the small integers below, and exact enough to keep ties apart.
INCREASING = {
    "affine": lambda score: 3 * score - 7,
    "cube": lambda score: score**3,
    "exponential": lambda score: torch.exp(score / 8),
    "sigmoid": lambda score: torch.sigmoid(score / 8),
}
# Labels in eighths and weights in quarters add up without rounding, in whatever order ties stand.
ROWS = st.lists(
    st.tuples(st.integers(-40, 40), st.integers(0, 8), st.integers(0, 9)), min_size=2, max_size=30
)


def draw(seed, rows=300, values=40):
    """Scores with many ties, hard labels, soft labels and weights, some of which are 0."""
    generator = np.random.default_rng(seed)
    score = generator.integers(values, size=rows) / values
    soft = generator.random(rows)
    weight = generator.random(rows) * (generator.random(rows) < 0.8)
    return score, (generator.random(rows) < score).astype(np.float64), soft, weight


def over_pairs(score, label, weight):
    """The definition: a random positive against a random negative, ties counting one half."""
    positive, negative = weight * label, weight * (1 - label)
    beats = (score[:, None] > score[None, :]) + 0.5 * (score[:, None] == score[None, :])
    return (positive[:, None] * negative[None, :] * beats).sum() / positive.sum() / negative.sum()


def exact_columns(rows):
    columns = torch.tensor(rows, dtype=torch.float64) / torch.tensor([1, 8, 4])
    return columns.unbind(1)


def tensors(*arrays):
    return tuple(torch.from_numpy(array) for array in arrays)


@pytest.mark.parametrize("values", [2, 40, 10**6])
@pytest.mark.parametrize("seed", range(3))
def test_hard_labels_agree_with_scikit_learn(seed, values):
    score, label, _, weight = draw(seed, values=values)
    assert float(auc(*tensors(score, label))) == pytest.approx(
        roc_auc_score(label, score), abs=1e-12
    )
    assert float(auc(*tensors(score, label, weight))) == pytest.approx(
        roc_auc_score(label, score, sample_weight=weight), abs=1e-12
    )


@pytest.mark.parametrize("values", [2, 40, 10**6])
def test_soft_labels_agree_with_the_sum_over_pairs(values):
    score, _, soft, weight = draw(7, values=values)
    assert float(auc(*tensors(score, soft, weight))) == pytest.approx(
        over_pairs(score, soft, weight), abs=1e-12
    )


def test_a_soft_label_is_a_split_of_its_row():
    score, _, soft, weight = draw(11)
    twice = np.concatenate((score, score))
    hard = np.concatenate((np.ones_like(score), np.zeros_like(score)))
    split = np.concatenate((weight * soft, weight * (1 - soft)))
    assert float(auc(*tensors(score, soft, weight))) == pytest.approx(
        roc_auc_score(hard, twice, sample_weight=split), abs=1e-12
    )


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_alone_gives_nan(label):
    score = torch.tensor([0.1, 0.5, 0.9])
    assert torch.isnan(auc(score, torch.full((3,), label)))


def test_a_class_without_weight_gives_nan():
    score, label = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.0, 1.0, 0.0])
    assert torch.isnan(auc(score, label, weight=torch.tensor([1.0, 0.0, 1.0])))


def test_no_rows_give_nan():
    assert torch.isnan(auc(torch.zeros(0), torch.zeros(0)))


def test_constant_scores_give_one_half():
    label = torch.tensor([0.0, 1.0, 1.0, 0.3])
    assert float(auc(torch.full((4,), 0.2), label)) == 0.5


@pytest.mark.parametrize("name", INCREASING)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(rows=ROWS)
def test_a_strictly_increasing_transform_changes_nothing(name, rows):
    score, label, weight = exact_columns(rows)
    expected = auc(score, label, weight)
    torch.testing.assert_close(
        auc(INCREASING[name](score), label, weight), expected, rtol=0, atol=0, equal_nan=True
    )


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(rows=ROWS)
def test_a_strictly_decreasing_transform_gives_the_complement(rows):
    score, label, weight = exact_columns(rows)
    expected = 1 - auc(score, label, weight)
    torch.testing.assert_close(
        auc(-score, label, weight), expected, rtol=0, atol=1e-15, equal_nan=True
    )


def test_one_ranking_serves_many_weightings():
    score, label, soft, _ = draw(3)
    ranking = rank(torch.from_numpy(score))
    generator = np.random.default_rng(4)
    for truth in tensors(label, soft):
        for counts in generator.poisson(1.0, size=(5, len(score))).astype(np.float64):
            weight = torch.from_numpy(counts)
            ordered = truth[ranking.order], weight[ranking.order]
            found = ranked_auc(ranking, ordered[1] * ordered[0], ordered[1] * (1 - ordered[0]))
            expected = over_pairs(score, truth.numpy(), counts)
            assert float(found) == pytest.approx(expected, abs=1e-12)
            assert float(found) == float(auc(torch.from_numpy(score), truth, weight))


def test_a_ranking_bounds_each_run_of_ties():
    ranking = rank(torch.tensor([0.5, 0.1, 0.5, 0.9, 0.1, 0.5]))
    assert ranking.start.tolist() == [0, 0, 2, 2, 2, 5]
    assert ranking.end.tolist() == [2, 2, 5, 5, 5, 6]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("values", [2, 40, 10**6])
def test_counting_from_sorted_values_agrees_with_ranking(dtype, share, values):
    rng = np.random.default_rng(0)
    values = min(values, 4000) if dtype == np.float16 else values
    score = (rng.integers(values, size=2000) - values // 2).astype(dtype)
    label = rng.random(2000) < share
    expected = roc_auc_score(label, score.astype(np.float64))
    for labels in (label, label.astype(np.int64), label.astype(np.float32)):
        assert float(auc(score, labels)) == pytest.approx(expected, abs=1e-12)
    ranked = auc(score, label.astype(np.float64), np.ones(2000))
    assert float(ranked) == pytest.approx(expected, abs=1e-12)


def test_parts_counted_side_by_side_add_up(monkeypatch):
    monkeypatch.setattr(sys.modules[rank.__module__], "_PART", 100)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    score, label, _, _ = draw(5, rows=999)
    assert float(auc(*tensors(score, label))) == pytest.approx(
        roc_auc_score(label, score), abs=1e-12
    )


@pytest.mark.parametrize("label", [[0.0, 1.0, 1.0], [0.0, 0.5, 1.0]])
@pytest.mark.parametrize("place", range(3))
def test_a_score_that_is_nan_is_an_error(label, place):
    score = torch.tensor([0.1, 0.2, 0.3])
    score[place] = torch.nan
    with pytest.raises(DataError, match="`score` must hold numbers, found NaN in 1"):
        auc(score, torch.tensor(label))


def test_a_label_that_is_nan_is_an_error():
    with pytest.raises(DataError, match="`label` must hold numbers, found NaN in 1"):
        auc(torch.tensor([0.1, 0.2]), torch.tensor([torch.nan, 1.0]))


def test_infinite_scores_are_ordered():
    score = torch.tensor([-torch.inf, 0.0, torch.inf, torch.inf])
    assert float(auc(score, torch.tensor([0.0, 1.0, 0.0, 1.0]))) == pytest.approx(2.5 / 4)
