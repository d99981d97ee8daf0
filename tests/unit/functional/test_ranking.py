"""Pairs within groups and what they weigh, against everything written out."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from mtl_seq.functional import (
    Pairs,
    draw_pairs,
    draw_pool,
    index_pairs,
    lambda_weights,
    pairs_at,
    ranknet,
)


def written_out(grade, group):
    rows = range(len(grade))
    return {(i, j) for i, j in product(rows, rows) if group[i] == group[j] and grade[i] > grade[j]}


def every(index):
    return pairs_at(index, torch.arange(index.pairs))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 3)), max_size=25))
def test_the_numbering_is_one_to_one_with_all_pairs(rows):
    grade = torch.tensor([g for g, _ in rows], dtype=torch.float32)
    group = torch.tensor([u for _, u in rows], dtype=torch.int64)
    index = index_pairs(grade, group)
    found = every(index)
    listed = list(zip(found.better.tolist(), found.worse.tolist(), strict=True))
    assert len(listed) == len(set(listed))
    assert set(listed) == written_out(grade.tolist(), group.tolist())
    # Numbers of a group follow each other, in the order of the groups.
    assert index.sizes.sum() == index.pairs
    for first, size in zip(index.first.tolist(), index.sizes.tolist(), strict=True):
        assert len(set(group[found.better[first : first + size]].tolist())) == 1


GRADE = torch.tensor([0.0, 1, 3, 0, 0, 2, 1, 1, 0, 3, 0, 0])
GROUP = torch.tensor([7, 7, 7, 7, 7, 7, 1, 1, 1, 2, 5, 5])
SIZES = {7: 5 + 4 + 3, 1: 2}  # 2 and 5 have rows of one grade only


def test_groups_of_one_grade_have_no_pair():
    index = index_pairs(GRADE, GROUP)
    found = every(index)
    assert set(GROUP[found.better].tolist()) == set(SIZES)
    assert sorted(index.sizes.tolist()) == sorted(SIZES.values())


def frequencies(pairs):
    numbers = {}
    for pair in zip(pairs.better.tolist(), pairs.worse.tolist(), strict=True):
        numbers[pair] = numbers.get(pair, 0) + 1
    return numbers


def test_every_group_gets_the_same_number_of_pairs_each_drawn_evenly():
    index = index_pairs(GRADE, GROUP)
    drawn = draw_pairs(index, 30_000, torch.Generator().manual_seed(0))
    owner = GROUP[drawn.better]
    assert {u: int((owner == u).sum()) for u in SIZES} == dict.fromkeys(SIZES, 30_000)
    found = frequencies(drawn)
    assert set(found) == written_out(GRADE.tolist(), GROUP.tolist())
    for (better, _), count in found.items():
        share = 1 / SIZES[int(GROUP[better])]
        sigma = math.sqrt(30_000 * share * (1 - share))
        assert abs(count - 30_000 * share) <= 5 * sigma


def test_the_pool_gives_groups_pairs_as_they_have_them():
    index = index_pairs(GRADE, GROUP)
    drawn = draw_pool(index, 30_000, torch.Generator().manual_seed(0))
    found = frequencies(drawn)
    assert set(found) == written_out(GRADE.tolist(), GROUP.tolist())
    share = 1 / sum(SIZES.values())
    sigma = math.sqrt(30_000 * share * (1 - share))
    assert all(abs(count - 30_000 * share) <= 5 * sigma for count in found.values())


def test_draws_come_from_the_generator_alone():
    index = index_pairs(GRADE, GROUP)
    before = torch.get_rng_state()
    one, other = (draw_pairs(index, 9, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one.better, other.better)
    assert torch.equal(one.worse, other.worse)
    assert torch.equal(torch.get_rng_state(), before)


def test_ranknet_is_its_formula_and_finite_far_out():
    score = torch.tensor([0.3, -1.2, 200.0, -200.0], dtype=torch.float64, requires_grad=True)
    pairs = Pairs(torch.tensor([0, 1, 2, 3]), torch.tensor([1, 0, 3, 2]))
    losses = ranknet(score, pairs)
    expected = [np.log1p(np.exp(-1.5)), np.log1p(np.exp(1.5)), 0.0, 400.0]
    np.testing.assert_allclose(losses.detach().numpy(), expected, rtol=1e-12, atol=1e-12)
    losses.sum().backward()
    assert torch.isfinite(score.grad).all()


def dcg(grades):
    return sum((2**g - 1) / math.log2(1 + rank) for rank, g in enumerate(grades, start=1))


@pytest.mark.parametrize("seed", range(5))
def test_a_lambda_weight_is_the_change_of_ndcg_by_a_swap(seed):
    rng = np.random.default_rng(seed)
    grade, group = rng.integers(0, 4, 24), rng.integers(0, 3, 24)
    score = rng.permutation(24).astype(float)
    index = index_pairs(torch.from_numpy(grade).double(), torch.from_numpy(group))
    pairs = every(index)
    found = lambda_weights(
        torch.from_numpy(score), torch.from_numpy(grade), torch.from_numpy(group), pairs
    )
    for i, j, weight in zip(*pairs, found, strict=True):
        rows = np.flatnonzero(group == group[i])
        listed = rows[np.argsort(-score[rows])].tolist()
        swapped = [{int(i): int(j), int(j): int(i)}.get(row, row) for row in listed]
        ideal = dcg(sorted(grade[rows], reverse=True))
        change = abs(dcg(grade[swapped]) - dcg(grade[listed])) / ideal
        assert float(weight) == pytest.approx(change, rel=1e-9)


def test_the_ndcg_is_that_of_scikit_learn():
    """Of two rows in the wrong order, the weight is what is missing to an NDCG of 1."""
    grade, score = torch.tensor([0.0, 3.0]), torch.tensor([2.0, 1.0])
    group = torch.zeros(2, dtype=torch.int64)
    weight = lambda_weights(score, grade, group, Pairs(torch.tensor([1]), torch.tensor([0])))
    gain = [[2.0**g - 1 for g in grade.tolist()]]
    assert float(weight) == pytest.approx(1 - ndcg_score(gain, [score.tolist()]), rel=1e-6)


def test_no_gradient_flows_through_the_weights():
    score = torch.randn(12, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = lambda_weights(score, GRADE, GROUP, every(index_pairs(GRADE, GROUP)))
    assert not weights.requires_grad
    assert ((weights >= 0) & (weights <= 1)).all()


def test_no_rows_no_pairs():
    nothing = torch.zeros(0)
    index = index_pairs(nothing, nothing.long())
    assert index.pairs == 0
    drawn = draw_pairs(index, 5, torch.Generator().manual_seed(0))
    assert drawn.better.shape == drawn.worse.shape == (0,)
    assert lambda_weights(nothing, nothing, nothing.long(), drawn).shape == (0,)
