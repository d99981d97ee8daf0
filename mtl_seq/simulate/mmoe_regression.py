"""Two synthetic regression tasks of known relatedness (Ma et al., KDD 2018, section 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mtl_seq.errors import SimulationError
from mtl_seq.records import FloatArray

__all__ = ["MMoERegression"]


@dataclass(frozen=True)
class MMoERegression:
    """The synthetic tasks of the MMoE paper: sums of sines along two directions at a given angle.

        w_1 = c u_1,   w_2 = c (p u_1 + sqrt(1 - p^2) u_2),   u_1, u_2 orthonormal
        x ~ N(0, I_d),   y_k = w_k'x + sum_j sin(alpha_j w_k'x + beta_j) + e_k

    `cosine`, p, is the cosine of the weights, not the correlation of the labels: that one grows
    with p but equals it only for the linear part alone (``terms=0, noise_std=0``).

    The paper gives neither c, m, alpha nor beta, and writes ``e_k ~ N(0, 0.01)`` without saying
    whether 0.01 is the variance. The defaults are those of Google's own port
    (google-research, "Simple generator for synthetic multi-task data"): c = 1, m = 10,
    ``alpha_j = j`` for j = 1..m, ``beta_j = j^2`` for j = 0..m-1, and 0.01 as the standard
    deviation; ``noise_std=0.1`` is the other reading. A re-implementation in PyTorch takes c = 3,
    m = 4 and standard normal alpha and beta; pass them as values. In both, as here, the two tasks
    share alpha and beta, so that they are one task at p = 1.

    It is not a `Simulator`: it has no funnel, no schema and no selection.

    Attributes:
        d: Input features, at least 2.
        cosine: p, the cosine of w_1 and w_2, in [-1, 1].
        scale: c, the length of both, above 0. It moves the sines' frequencies too.
        terms: m, number of sines, at least 0.
        alpha: Their frequencies, m of them; None for the port's.
        beta: Their phases, m of them; None for the port's.
        noise_std: Standard deviation of e_k, at least 0.
        seed: Seed of u_1 and u_2. Scenarios that differ only in `cosine` share both.

    Raises:
        SimulationError: A parameter outside its range, or alpha or beta of another length than
            `terms`.

    >>> x, y = MMoERegression(d=5, cosine=1.0, noise_std=0.0).sample(3, np.random.default_rng(0))
    >>> x.shape, bool(np.allclose(y[:, 0], y[:, 1]))
    ((3, 5), True)
    """

    d: int = 100
    cosine: float = 0.5
    scale: float = 1.0
    terms: int = 10
    alpha: Sequence[float] | None = None
    beta: Sequence[float] | None = None
    noise_std: float = 0.01
    seed: int = 0
    _weights: FloatArray = field(init=False, repr=False, compare=False)
    _waves: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check()
        for name in ("alpha", "beta"):
            values = getattr(self, name)
            if values is not None:
                # Tuples, so that a scenario can be compared and hashed.
                object.__setattr__(self, name, tuple(float(value) for value in values))
        alpha = np.arange(1, self.terms + 1) if self.alpha is None else self.alpha
        beta = np.arange(self.terms) ** 2 if self.beta is None else self.beta
        waves = np.array([alpha, beta], dtype=np.float64)
        rng = np.random.default_rng(self.seed)
        # Columns of Q are orthonormal; u_2 is drawn for every p, so that p changes nothing else.
        u, _ = np.linalg.qr(rng.standard_normal((self.d, 2)))
        mix = np.sqrt((1 - self.cosine) * (1 + self.cosine))
        weights = self.scale * np.stack([u[:, 0], self.cosine * u[:, 0] + mix * u[:, 1]])
        for array in (waves, weights):
            array.setflags(write=False)
        object.__setattr__(self, "_waves", waves)
        object.__setattr__(self, "_weights", weights)

    @property
    def weights(self) -> FloatArray:
        """``(2, d)``: w_1 and w_2, read-only."""
        return self._weights

    def mean(self, x: FloatArray) -> FloatArray:
        """The labels without noise, ``(n, d) -> (n, 2)``: the best any model can do."""
        z: FloatArray = x @ self._weights.T
        y = z.copy()
        for alpha, beta in self._waves.T:
            y += np.sin(alpha * z + beta)
        return y

    def sample(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Draw x ``(n, d)`` and y ``(n, 2)``, task 1 first.

        x and the noise drawn from `rng` do not depend on any parameter but `d`, so scenarios that
        differ in `cosine` can be compared row by row.

        Raises:
            SimulationError: n is below 1.
        """
        if n < 1:
            raise SimulationError(f"`n` must be at least 1, found {n}")
        x = rng.standard_normal((n, self.d))
        noise = rng.standard_normal((n, 2))
        return x, self.mean(x) + self.noise_std * noise

    def _check(self) -> None:
        ranges = {"d": (2, 1_000_000), "cosine": (-1, 1), "terms": (0, 10_000)}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SimulationError(f"`{name}` must lie in [{low}, {high}], found {value}")
        if not 0 < self.scale < np.inf:
            raise SimulationError(f"`scale` must be finite and above 0, found {self.scale}")
        if not 0 <= self.noise_std < np.inf:
            raise SimulationError(
                f"`noise_std` must be finite and at least 0, found {self.noise_std}; it is a "
                "standard deviation, not a variance"
            )
        for name in ("alpha", "beta"):
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != self.terms:
                raise SimulationError(
                    f"`{name}` must have one value for each of the {self.terms} `terms`, found "
                    f"{len(values)}: set `terms` to its length"
                )
            if not np.isfinite(values).all():
                raise SimulationError(f"`{name}` must be finite, found {list(values)}")
