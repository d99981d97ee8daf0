"""The normal distribution against SciPy's, and against its integral."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mtl_seq.simulate.common.normal import bivariate, cumulative, quantile


def test_one_dimension_to_the_last_digits():
    x = np.linspace(-37, 9, 400)
    np.testing.assert_allclose(cumulative(x), norm.cdf(x), rtol=1e-12)
    for p in (1e-12, 0.02, 0.5, 0.99):
        assert quantile(p) == pytest.approx(norm.ppf(p), rel=1e-12)


@pytest.mark.parametrize("rho", [-0.95, -0.5, 0.0, 0.3, 0.8, 0.95])
def test_two_dimensions(rho):
    """Against ``int phi(x) Phi((k - rho x) / sqrt(1 - rho^2)) dx``."""
    grid = np.array([-6.0, -2.5, -1.0, 0.0, 0.7, 2.0, 5.0])
    for h in grid:
        for k in grid:

            def inner(x, k=k):
                return norm.pdf(x) * norm.cdf((k - rho * x) / np.sqrt(1 - rho**2))

            exact, _ = quad(inner, -12, h, epsabs=1e-13, limit=200, points=(min(h, k) - 1e-9,))
            found = bivariate(np.array(h), np.array(k), rho)
            assert float(found) == pytest.approx(exact, abs=1e-10)


def test_independence_is_the_product():
    h, k = np.array([-2.0, 0.3]), np.array([1.0, -0.4])
    np.testing.assert_allclose(bivariate(h, k, 0.0), norm.cdf(h) * norm.cdf(k), rtol=1e-14)
