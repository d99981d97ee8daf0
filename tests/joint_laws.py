"""Joint distributions of click and potential conversion with a known odds ratio."""

import numpy as np
import pytest


def joint(a, b, psi):
    """The distribution of click o and potential conversion r, ``P[o, r]``, with odds ratio psi.

    a is the click logit without a potential conversion, b the conversion logit.
    """

    def s(x):
        return 1 / (1 + np.exp(-x))

    q, low, high = s(b), s(a), s(a + np.log(psi))
    return np.array([[(1 - q) * (1 - low), q * (1 - high)], [(1 - q) * low, q * high]])


def odds_ratio_scenario(psi, rows=400, seed=0):
    """A discrete scenario: p, t and q of each row by enumeration of the four outcomes."""
    rng = np.random.default_rng(seed)
    laws = [joint(*rng.normal([-1.5, -1.0], 2.0), psi) for _ in range(rows)]
    for law in laws:
        ratio = law[1, 1] * law[0, 0] / (law[1, 0] * law[0, 1])
        assert ratio == pytest.approx(psi, rel=1e-9)
    click = np.array([law[1].sum() for law in laws])
    both = np.array([law[1, 1] for law in laws])
    conversion = np.array([law[:, 1].sum() for law in laws])
    return click, both, conversion
