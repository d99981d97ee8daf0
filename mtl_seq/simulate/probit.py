"""The probit funnel: Heckman's selection model, with closed forms for every rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from mtl_seq.errors import SchemaError, SimulationError
from mtl_seq.records import FloatArray, FunnelTruth
from mtl_seq.schema import Schema
from mtl_seq.simulate.common.normal import bivariate_cdf
from mtl_seq.simulate.common.parameter_checks import (
    ParameterError,
    check_choice,
    check_number,
    check_share,
)

__all__ = ["ProbitFunnel", "ProbitRates"]


class ProbitRates(NamedTuple):
    """Exact rates of a `ProbitFunnel`.

    Attributes:
        ctr: P(o = 1).
        cvr: P(r = 1), over all impressions.
        ctcvr: P(o = 1, r = 1).
        cvr_clicked: P(r = 1 | o = 1).
        cvr_unclicked: P(r = 1 | o = 0).
    """

    ctr: float
    cvr: float
    ctcvr: float
    cvr_clicked: float
    cvr_unclicked: float


class _Scenario(NamedTuple):
    click: FloatArray
    conversion: FloatArray
    alpha: float
    beta: float


@dataclass(frozen=True)
class ProbitFunnel:
    """Clicks and conversions as thresholds of correlated normal utilities.

        x ~ N(0, I_d),   w ~ N(0, 1),   z_click = sqrt(1 - instrument) u'x + sqrt(instrument) w
        z_conversion = v'x,   |u| = |v| = 1,   corr(z_click, z_conversion) = rho exactly
        o = 1[alpha + click_slope z_click + e_1 > 0]
        r = 1[beta + conversion_slope z_conversion + e_2 > 0] for EVERY impression
        (e_1, e_2) standard normal with correlation `error_correlation`

    the selection model of Heckman (Econometrica 1979) with a binary outcome. Correlated errors are
    a hidden confounder h: ``e_1 = l h + sqrt(1 - l^2) e``, ``l = sqrt(|error_correlation|)``, and
    e_2 alike with the sign of the correlation. With ``h = Phi^-1(ctr)``, ``k = Phi^-1(cvr)``::

        alpha = sqrt(1 + click_slope^2) h,   beta = sqrt(1 + conversion_slope^2) k
        P(o = 1, r = 1) = Phi2(h, k; r*)
        r* = (rho click_slope conversion_slope + error_correlation)
             / sqrt((1 + click_slope^2) (1 + conversion_slope^2))

    so `rates` needs no simulation. The log shows x as ``x_0``, ``x_1``, ... and w, where its share
    is positive, as ``instrument``: it moves clicks only (an exclusion restriction), and the schema
    hides it from the conversion's tower. ``truth.hidden`` holds ``confounder`` (h).

    Attributes:
        features: d, in [2, 1000].
        rho: In [-1, 1], at most ``sqrt(1 - instrument)`` in size.
        click_slope: In [0, 20].
        conversion_slope: In [0, 20].
        ctr: P(o = 1), in (0, 1).
        cvr: The rate named by `cvr_over`, in (0, 1).
        cvr_over: ``"clicks"`` for P(r = 1 | o = 1), ``"impressions"`` for P(r = 1).
        error_correlation: In [-0.95, 0.95].
        instrument: Share of the click score's variance, in [0, 1], explained by w.
        hidden_from: For a stage, the features that models must hide from its tower.
        seed: Seed of u and v.

    Raises:
        ParameterError: A parameter outside its range.

    >>> simulator = ProbitFunnel(rho=0.6, error_correlation=0.3, ctr=0.04, cvr=0.02,
    ...                      cvr_over="impressions")
    >>> round(simulator.rates.cvr_clicked, 5)
    0.1162
    """

    features: int = 8
    rho: float = 0.4
    click_slope: float = 1.0
    conversion_slope: float = 1.0
    ctr: float = 0.2
    cvr: float = 0.2
    cvr_over: Literal["clicks", "impressions"] = "clicks"
    error_correlation: float = 0.0
    instrument: float = 0.0
    hidden_from: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seed: int = 0
    _scenario: _Scenario = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check()
        rng = np.random.default_rng(self.seed)
        u, _ = np.linalg.qr(rng.standard_normal((self.features, 2)))
        within = np.sqrt(1 - self.instrument)
        cosine = 0.0 if within == 0 else float(np.clip(self.rho / within, -1, 1))
        direction = cosine * u[:, 0] + np.sqrt((1 - cosine) * (1 + cosine)) * u[:, 1]
        k = float(ndtri(self.cvr)) if self.cvr_over == "impressions" else self._solve()
        scenario = _Scenario(
            u[:, 0],
            direction,
            float(np.hypot(1, self.click_slope) * ndtri(self.ctr)),
            float(np.hypot(1, self.conversion_slope)) * k,
        )
        object.__setattr__(self, "_scenario", scenario)

    @property
    def schema(self) -> Schema:
        """The roles of the log's columns."""
        instrument = ("instrument",) if self.instrument else ()
        return Schema(
            labels={"click": "click", "conversion": "conversion"},
            dense=(*(f"x_{j}" for j in range(self.features)), *instrument),
            hidden_from=self.hidden_from,
            click_only=instrument,
        )

    @property
    def rates(self) -> ProbitRates:
        """The closed forms."""
        k = self._scenario.beta / float(np.hypot(1, self.conversion_slope))
        both, cvr = self._both(k), float(ndtr(k))
        return ProbitRates(self.ctr, cvr, both, both / self.ctr, (cvr - both) / (1 - self.ctr))

    def sample(self, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, FunnelTruth]:
        """Draw n impressions; see `Simulator.sample`."""
        if n < 1:
            raise SimulationError(f"`n` must be at least 1, found {n}")
        scenario, rho = self._scenario, self.error_correlation
        x = rng.standard_normal((n, self.features))
        columns: dict[str, NDArray[np.generic]] = {f"x_{j}": v for j, v in enumerate(x.T)}
        z = np.sqrt(1 - self.instrument) * (x @ scenario.click)
        if self.instrument:
            columns["instrument"] = rng.standard_normal(n)
            z += np.sqrt(self.instrument) * columns["instrument"]
        a = scenario.alpha + self.click_slope * z
        b = scenario.beta + self.conversion_slope * (x @ scenario.conversion)
        pctr, pcvr = ndtr(a), ndtr(b)
        pctcvr, given_hidden, hidden = pctr * pcvr, (pctr, pcvr), {}
        scale = 1.0
        if rho:
            pctcvr = bivariate_cdf(a, b, rho)
            loading, scale = np.sqrt(abs(rho)), np.sqrt(1 - abs(rho))
            hidden["confounder"] = h = rng.standard_normal(n)
            a, b = a + loading * h, b + np.sign(rho) * loading * h
            given_hidden = (ndtr(a / scale), ndtr(b / scale))
        potential = b + scale * rng.standard_normal(n) > 0
        click = a + scale * rng.standard_normal(n) > 0
        columns["click"] = click.astype(np.int64)
        columns["conversion"] = (click & potential).astype(np.int64)
        drawn = potential.astype(np.float64)
        truth = FunnelTruth(pctr, pcvr, pctcvr, *given_hidden, drawn, hidden=hidden)
        return pd.DataFrame(columns, copy=False), truth

    def _check(self) -> None:
        check_number("features", self.features, 2, 1000, whole=True)
        check_number("seed", self.seed, 0, 2**63, whole=True)
        for name in ("click_slope", "conversion_slope"):
            check_number(name, getattr(self, name), 0, 20)
        for name in ("ctr", "cvr"):
            check_share(name, getattr(self, name))
        check_choice("cvr_over", self.cvr_over, ("clicks", "impressions"))
        check_number("error_correlation", self.error_correlation, -0.95, 0.95)
        check_number("instrument", self.instrument, 0, 1)
        check_number("rho", self.rho, -1, 1)
        most = float(np.sqrt(1 - self.instrument))
        if abs(self.rho) > most + 1e-12:
            raise ParameterError.of(
                "rho",
                f"must lie in [{-most:.4g}, {most:.4g}] with an `instrument` of "
                f"{self.instrument}, which does not move conversions; found {self.rho}",
            )
        try:
            _ = self.schema
        except SchemaError as error:
            raise ParameterError(str(error), "hidden_from") from error

    def _both(self, k: float) -> float:
        """P(o = 1, r = 1) for a conversion threshold k."""
        slopes = self.rho * self.click_slope * self.conversion_slope
        scale = np.hypot(1, self.click_slope) * np.hypot(1, self.conversion_slope)
        correlation = float((slopes + self.error_correlation) / scale)
        return float(bivariate_cdf(ndtri(self.ctr), np.array(k), correlation))

    def _solve(self) -> float:
        """The conversion threshold that gives P(r = 1 | o = 1) = `cvr`."""
        from scipy.optimize import brentq

        goal = self.cvr * self.ctr
        threshold: float = brentq(lambda k: self._both(k) - goal, -38.0, 38.0)
        return threshold
