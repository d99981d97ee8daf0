"""Dense context features, with a known angle between the two tasks' directions."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mtl_seq.records import FloatArray
from mtl_seq.simulate.common.parameter_checks import check_number

__all__ = ["Context", "Directions"]


@dataclass(frozen=True)
class Context:
    """Standard normal features x of every impression, columns ``context_0``, ``context_1``, ...

        w_c = u_1,   w_v = cosine u_1 + sqrt(1 - cosine^2) u_2,   u_1, u_2 orthonormal
        z = sqrt(1 - share) z_ids + sqrt(share) g(w'x),   g(t) ~ t + sum_j sin(j t + (j - 1)^2)

    for the click with w_c, for the conversion with w_v; g is standardised, so z keeps variance 1.
    The sines are those of the MMoE paper's synthetic tasks (Ma et al., KDD 2018; see
    `MMoERegression`): with them no linear model has the right form, and a low cosine means that the
    two tasks need different features of x.

    Attributes:
        features: d, how many, in [2, 1000].
        share: Share of both scores' variance, in [0, 1], that x carries.
        cosine: Relatedness of the tasks: cosine of w_c and w_v, in [-1, 1], exact. None for the
            scenario's `rho`. Without sines the correlation of the whole scores is
            ``(1 - share) rho + share cosine``; sines keep its sign, not its size.
        sines: How many sines, in [0, 20].

    Raises:
        ParameterError: One outside its range.
    """

    features: int = 10
    share: float = 0.5
    cosine: float | None = None
    sines: int = 0

    def __post_init__(self) -> None:
        check_number("context.features", self.features, 2, 1000, whole=True)
        check_number("context.share", self.share, 0, 1)
        if self.cosine is not None:
            check_number("context.cosine", self.cosine, -1, 1)
        check_number("context.sines", self.sines, 0, 20, whole=True)

    def directions(self, rho: float, rng: np.random.Generator) -> "Directions":
        """Draw u_1 and u_2; they do not depend on the cosine."""
        u, _ = np.linalg.qr(rng.standard_normal((self.features, 2)))
        cosine = rho if self.cosine is None else self.cosine
        mix = np.sqrt((1 - cosine) * (1 + cosine))
        # A grid this wide and fine integrates against the normal density to rounding.
        grid = np.linspace(-12, 12, 9601)
        density = np.exp(-(grid**2) / 2)
        density /= density.sum()
        values = _waves(grid, self.sines)
        centre = float(density @ values)
        scale = float(np.sqrt(density @ (values - centre) ** 2))
        return Directions(
            u[:, 0],
            cosine * u[:, 0] + mix * u[:, 1],
            u,
            self.sines,
            centre,
            scale,
            self.share,
        )


class Directions(NamedTuple):
    """Directions and scaling of a drawn `Context`.

    Attributes:
        click: ``(d,)`` w_c.
        conversion: ``(d,)`` w_v.
        plane: ``(d, 2)`` u_1 and u_2.
        sines: How many sines.
        centre: Mean of g before it is standardised.
        scale: Its standard deviation.
        share: Share of the scores' variance.
    """

    click: FloatArray
    conversion: FloatArray
    plane: FloatArray
    sines: int
    centre: float
    scale: float
    share: float

    def join(
        self, x: FloatArray, click: FloatArray, conversion: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mix the scores of ids, ``(N,)`` each, with those of x, ``(N, d)``."""
        rest, scale = np.sqrt(1 - self.share), np.sqrt(self.share) / self.scale
        g_click = _waves(x @ self.click, self.sines) - self.centre
        g_conversion = _waves(x @ self.conversion, self.sines) - self.centre
        return rest * click + scale * g_click, rest * conversion + scale * g_conversion


def _waves(t: FloatArray, sines: int) -> FloatArray:
    total = t.copy()
    for j in range(1, sines + 1):
        total += np.sin(j * t + (j - 1) ** 2)
    return total
