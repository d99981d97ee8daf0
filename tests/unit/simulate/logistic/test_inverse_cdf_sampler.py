"""The wheel gives what a binary search of the cumulative distribution gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_seq.simulate.logistic.inverse_cdf_sampler import InverseCdfSampler
from mtl_seq.simulate.logistic.latent_effects import zipf


def searched(popularity, uniform):
    cumulative = np.cumsum(popularity)
    result = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
    return np.minimum(result, len(popularity) - 1)


@given(
    st.integers(1, 400),
    st.floats(0, 5),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=50),
)
def test_it_agrees_with_a_search(count, exponent, uniforms):
    popularity = zipf(count, exponent)
    uniform = np.array([*uniforms, 0.0, np.nextafter(1, 0), *np.cumsum(popularity)[:-1]])
    uniform = uniform[uniform < 1]
    np.testing.assert_array_equal(
        InverseCdfSampler(popularity).draw(uniform), searched(popularity, uniform)
    )


@pytest.mark.parametrize("exponent", [0.4, 1.0, 3.0])
def test_it_agrees_with_a_search_of_many(exponent):
    popularity = zipf(20_000, exponent)
    # Squares crowd near 0; 1 minus them crowds near 1, where the rare ones are.
    uniform = 1 - np.random.default_rng(0).random(100_000) ** 4
    uniform = np.minimum(uniform, np.nextafter(1, 0)).reshape(2, -1)
    np.testing.assert_array_equal(
        InverseCdfSampler(popularity).draw(uniform), searched(popularity, uniform)
    )


def test_frequencies_follow_the_popularity():
    popularity = zipf(50, 1.0)
    rows = 400_000
    counts = np.bincount(InverseCdfSampler(popularity).draw(np.random.default_rng(1).random(rows)))
    sigma = np.sqrt(rows * popularity * (1 - popularity))
    assert np.abs((counts - rows * popularity) / sigma).max() <= 4.5
