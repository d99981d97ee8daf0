"""Fused scores: what their order depends on and what not, and what cannot be fused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_seq.errors import CompositionError, DataError
from mtl_seq.fusion import ScoreFusion

RNG = np.random.default_rng(0)
INDEX = pd.Index(RNG.permutation(60) * 3 + 1)
CTR = pd.Series(RNG.uniform(0.01, 0.9, 60), index=INDEX)
CVR = pd.Series(RNG.uniform(0.01, 0.9, 60), index=INDEX)
GROUP = pd.Series(RNG.integers(0, 6, 60), index=INDEX)
PARTS = {"ctr": CTR, "cvr": CVR}
ONES = {"ctr": 1.0, "cvr": 1.0}


def order(frame, group=None):
    """Ranks of the fused score, within groups where there are any."""
    score = frame["score"].round(12)
    ranks = score.rank() if group is None else score.groupby(group).rank()
    return ranks.to_numpy()


def test_the_product_of_pctr_and_pcvr_is_pctcvr():
    found = ScoreFusion(ONES).fuse(PARTS)
    assert list(found) == ["score"]
    assert found.index.equals(INDEX)
    np.testing.assert_allclose(found["score"], CTR * CVR, rtol=1e-12)


@pytest.mark.parametrize("kind", ["geometric", "arithmetic", "rank"])
@settings(max_examples=25, deadline=None)
@given(a=st.floats(0.05, 3), b=st.floats(0.05, 3), times=st.floats(0.1, 10))
def test_scaling_all_weights_keeps_the_order(kind, a, b, times):
    one = ScoreFusion({"ctr": a, "cvr": b}, kind).fuse(PARTS, GROUP)
    other = ScoreFusion({"ctr": times * a, "cvr": times * b}, kind).fuse(PARTS, GROUP)
    ranks = [frame["score"].rank().to_numpy() for frame in (one, other)]
    np.testing.assert_array_equal(*ranks)


def test_one_component_alone_keeps_its_order_in_every_kind():
    for kind in ("geometric", "arithmetic", "rank"):
        found = ScoreFusion({"ctr": 0.7, "cvr": 0.0}, kind).fuse(PARTS)
        np.testing.assert_array_equal(order(found), CTR.rank().to_numpy())


MAPS = {
    "scaled": lambda p: 0.2 * p,
    "odds times 5": lambda p: 5 * p / (1 - p + 5 * p),
    "shifted": lambda p: 0.5 + 0.5 * p,
    "exponential": lambda p: np.exp(3 * p),
}
# Which miscalibration of one component leaves the order of the fused score as it was.
INDIFFERENT = {"geometric": {"scaled"}, "arithmetic": set(), "rank": set(MAPS)}


@pytest.mark.parametrize("kind", INDIFFERENT)
@pytest.mark.parametrize("name", MAPS)
def test_what_miscalibration_of_a_component_does_to_the_order(kind, name):
    fusion = ScoreFusion({"ctr": 1.0, "cvr": 1.5}, kind)
    before = fusion.fuse(PARTS, GROUP)
    after = fusion.fuse({"ctr": MAPS[name](CTR), "cvr": CVR}, GROUP)
    same = np.array_equal(order(before, GROUP), order(after, GROUP))
    assert same == (name in INDIFFERENT[kind])


def test_a_power_of_a_component_is_its_weight():
    squared = ScoreFusion(ONES).fuse({"ctr": CTR**2, "cvr": CVR})
    weighted = ScoreFusion({"ctr": 2.0, "cvr": 1.0}).fuse(PARTS)
    np.testing.assert_allclose(squared, weighted, rtol=1e-12)


def test_the_arithmetic_fusion_is_the_weighted_sum():
    found = ScoreFusion({"ctr": 2.0, "cvr": 0.5}, "arithmetic").fuse(PARTS)
    np.testing.assert_allclose(found["score"], 2 * CTR + 0.5 * CVR, rtol=1e-12)


def test_rank_fusion_is_its_formula_within_groups():
    found = ScoreFusion({"ctr": 1.0, "cvr": 3.0}, "rank").fuse(PARTS, GROUP)
    for group in range(6):
        rows = (group == GROUP).to_numpy()
        ranks = [(-part[rows]).rank().to_numpy() for part in (CTR, CVR)]
        expected = 1 / (60 + ranks[0]) + 3 / (60 + ranks[1])
        np.testing.assert_allclose(found["score"][rows], expected, rtol=1e-12)


def test_the_small_example_of_rank_fusion():
    parts = {"a": pd.Series([0.9, 0.5, 0.1]), "b": pd.Series([0.2, 0.2, 0.7])}
    found = ScoreFusion({"a": 1, "b": 1}, "rank", constant=0)
    # Ranks 1, 2, 3 and 2.5, 2.5, 1: ties share their mean rank.
    expected = [1 + 1 / 2.5, 1 / 2 + 1 / 2.5, 1 / 3 + 1]
    np.testing.assert_allclose(found.fuse(parts)["score"], expected, rtol=1e-12)


def test_zeros_are_guarded():
    parts = {"ctr": pd.Series([0.0, 0.0, 0.5, 1e-12]), "cvr": pd.Series([0.1, 0.9, 0.0, 0.5])}
    found = ScoreFusion({"ctr": 1.0, "cvr": 0.5}).fuse(parts)["score"]
    assert np.isfinite(found).all()
    assert found[1] > found[0] > 0
    assert found[3] == pytest.approx(1e-8 * 0.5**0.5)
    zero_weight = ScoreFusion({"ctr": 0.0, "cvr": 1.0}).fuse(parts)["score"]
    np.testing.assert_allclose(zero_weight, np.maximum(parts["cvr"], 1e-8))


def test_scores_of_rankers_are_fused_by_rank_only():
    parts = {"ranker": CTR - 0.5, "cvr": CVR}
    weights = {"ranker": 1.0, "cvr": 1.0}
    with pytest.raises(
        DataError, match=r"at least 0.*fuse scores that are no probabilities by rank"
    ):
        ScoreFusion(weights).fuse(parts)
    found = ScoreFusion(weights, "rank").fuse(parts, GROUP)
    expected = ScoreFusion(ONES, "rank").fuse(PARTS, GROUP)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"ctr": CTR, "cvr": CVR.iloc[:-1]}, r"same rows .* 'cvr' has 59 and 'ctr' 60"),
        ({"ctr": CTR, "cvr": CVR.set_axis(range(60))}, "or another index: predict the same"),
        ({"ctr": CTR, "cvr": CVR.sort_index()}, "the same order"),
        ({"ctr": CTR, "cvr": CVR.where(CVR.iloc[4] != CVR)}, "finite numbers .* in 1 row"),
        ({"ctr": CTR, "cvr": CVR.to_frame()}, "must be a Series, .* found DataFrame"),
    ],
    ids=["fewer rows", "other index", "other order", "NaN", "a frame"],
)
def test_components_of_other_rows_or_without_values_are_errors(parts, message):
    with pytest.raises(DataError, match=message):
        ScoreFusion(ONES).fuse(parts)


def test_a_group_of_other_rows_is_an_error():
    with pytest.raises(DataError, match="`group` must have the index of the components"):
        ScoreFusion(ONES, "rank").fuse(PARTS, GROUP.iloc[:-1])


def test_other_components_than_weights_are_an_error():
    with pytest.raises(CompositionError, match=r"must be those of `weights` \('ctr', 'cvr'\)"):
        ScoreFusion(ONES).fuse({"ctr": CTR})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"a": -1.0},), "at least 0 and finite, found -1.0 for 'a'"),
        (({"a": float("nan")},), "at least 0 and finite"),
        (({"a": 0.0, "b": 0.0},), "`weights` must hold one above 0"),
        (({},), "`weights` must hold one above 0"),
        (({"a": 1.0}, "harmonic"), "found 'harmonic'"),
        (({"a": 1.0}, "rank", -1.0), "`constant` must be at least 0, found -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, message):
    with pytest.raises(CompositionError, match=message):
        ScoreFusion(*arguments)
