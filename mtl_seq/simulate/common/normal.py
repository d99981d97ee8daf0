"""The bivariate normal distribution function."""

import numpy as np
from scipy.special import ndtr, owens_t

from mtl_seq.records import FloatArray

__all__ = ["bivariate_cdf"]


def bivariate_cdf(h: FloatArray, k: FloatArray, rho: float) -> FloatArray:
    """P(X <= h, Y <= k) of standard normals with correlation rho, element by element.

    By Owen's T function (Owen, 1956)::

        Phi2 = (Phi(h) + Phi(k)) / 2 - T(h, a_h) - T(k, a_k) - delta / 2
        a_h = (k / h - rho) / sqrt(1 - rho^2),   a_k = (h / k - rho) / sqrt(1 - rho^2)

    delta is 1 where h and k have opposite signs, or one is 0 and the other negative. The absolute
    error is below 1e-15; a probability far below that has no digits right.

    Args:
        h: Upper limits of X.
        k: Upper limits of Y.
        rho: Correlation, in (-1, 1).
    """
    h, k = np.broadcast_arrays(np.asarray(h, dtype=np.float64), np.asarray(k, dtype=np.float64))
    p, q = ndtr(h), ndtr(k)
    scale = np.sqrt((1 - rho) * (1 + rho))
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = (k / h - rho) / scale, (h / k - rho) / scale
    origin = (h == 0) & (k == 0)
    a_h, a_k = (np.where(origin, (1 - rho) / scale, slope) for slope in slopes)
    delta = (h * k < 0) | ((h * k == 0) & (h + k < 0))
    joint = (p + q - delta) / 2 - owens_t(h, a_h) - owens_t(k, a_k)
    # Rounding may leave the bounds of a joint probability by its last digit.
    bounded: FloatArray = np.clip(joint, np.maximum(p + q - 1, 0), np.minimum(p, q))
    return bounded
