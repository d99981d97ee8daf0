"""The bivariate normal distribution function against its integral."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mtl_seq.simulate.common.normal import bivariate_cdf


@pytest.mark.parametrize("rho", [-0.9999, -0.95, -0.5, 0.0, 0.3, 0.8, 0.95, 0.9999])
def test_it_is_the_integral(rho):
    """Against ``int phi(x) Phi((k - rho x) / sqrt(1 - rho^2)) dx``."""
    grid = np.array([-6.0, -2.5, -1.0, 0.0, 0.7, 2.0, 5.0])
    for h in grid:
        for k in grid:

            def inner(x, k=k):
                return norm.pdf(x) * norm.cdf((k - rho * x) / np.sqrt(1 - rho**2))

            # Where rho is near 1 the integrand is a step at k / rho.
            step = k / rho if rho else k
            points = [min(step, h) - 1e-9, *np.clip([step - 0.1, step + 0.1], -12, h)]
            exact, _ = quad(inner, -12, h, epsabs=1e-13, limit=200, points=points)
            value = bivariate_cdf(np.array(h), np.array(k), rho)
            assert float(value) == pytest.approx(exact, abs=1e-10)


def test_independence_is_the_product():
    h, k = np.array([-2.0, 0.3]), np.array([1.0, -0.4])
    np.testing.assert_allclose(bivariate_cdf(h, k, 0.0), norm.cdf(h) * norm.cdf(k), rtol=1e-14)
