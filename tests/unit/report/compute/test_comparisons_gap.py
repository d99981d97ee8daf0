"""The gap closed, against closed forms and resamples by hand."""

import math

import numpy as np
import pytest

from mtl_seq.report.compute.comparisons import gap_closed, gap_replicates


def steady(**losses):
    """Losses whose replicates move together, so that all differences are certain."""
    shift = np.random.default_rng(0).standard_normal(100)
    return losses, {name: loss + shift for name, loss in losses.items()}


def test_the_gap_closed_is_0_for_naive_and_1_for_the_oracle():
    losses, replicates = steady(click_space=0.5, esmm=0.45, worse=0.6, oracle=0.3, better=0.2)
    found = gap_closed(losses, replicates, "click_space", "oracle")
    assert {name: value for name, (value, _) in found.items()} == pytest.approx(
        {"click_space": 0.0, "esmm": 0.25, "worse": -0.5, "oracle": 1.0, "better": 1.5}
    )
    assert {reason for _, reason in found.values()} == {None}


def test_either_end_may_have_any_name():
    losses, replicates = steady(a=0.5, b=0.4, c=0.3)
    assert gap_closed(losses, replicates, "a", "c")["b"][0] == pytest.approx(0.5)


def test_there_is_no_gap_to_close_where_the_oracle_is_worse():
    losses, replicates = steady(click_space=0.3, oracle=0.5)
    assert all(
        math.isnan(v) for v, _ in gap_closed(losses, replicates, "click_space", "oracle").values()
    )


@pytest.mark.parametrize(("distance", "defined"), [(1.9, False), (2.1, True)])
def test_the_ends_must_lie_two_standard_errors_apart(distance, defined):
    error = 0.01
    losses = {"click_space": 0.3 + distance * error, "esmm": 0.3, "oracle": 0.3}
    replicates = {name: np.full(100, loss) for name, loss in losses.items()}
    replicates["oracle"] = replicates["oracle"] + np.tile(
        [error, -error], 50
    )  # its deviation is `error`
    found = gap_closed(losses, replicates, "click_space", "oracle")
    assert set(found) == set(losses)
    for name, (value, reason) in found.items():
        if defined:
            assert value == pytest.approx(0 if name == "click_space" else 1)
            assert reason is None
        else:
            assert math.isnan(value)
            assert "under two standard errors" in reason


@pytest.mark.parametrize("absent", ["click_space", "oracle"])
def test_without_both_ends_there_is_no_gap(absent):
    losses, replicates = steady(click_space=0.5, esmm=0.4, oracle=0.3)
    losses.pop(absent)
    assert gap_closed(losses, replicates, "click_space", "oracle") == {}


def test_the_gap_in_each_resample_is_0_for_naive_and_1_for_the_oracle():
    noise = np.random.default_rng(0).standard_normal((3, 100)) * 0.01
    replicates = dict(zip(("n", "m", "o"), np.array([[0.5], [0.45], [0.3]]) + noise, strict=True))
    found = gap_replicates(replicates, "n", "o")
    assert not found["n"].any()
    np.testing.assert_allclose(found["o"], 1)
    np.testing.assert_allclose(
        found["m"],
        (replicates["n"] - replicates["m"]) / (replicates["n"] - replicates["o"]),
        rtol=1e-12,
    )
