"""Validated inputs of an estimator study, and the usual right and wrong nuisances."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.errors import DataError, rows_text
from mtl_seq.records import FloatArray

__all__ = ["StudyInputs", "check_inputs", "usual_imputations", "usual_propensities"]

_TILT = 0.7
_ROUNDING = 1e-6


class StudyInputs(NamedTuple):
    """Arrays of an estimator study, ``(N,)`` float64 each; see `EstimatorStudy.from_arrays`."""

    pctr: FloatArray
    pcvr: FloatArray
    prediction: FloatArray
    pctcvr: FloatArray
    propensities: Mapping[str, FloatArray]
    imputations: Mapping[str, FloatArray]


def usual_propensities(
    pctr: FloatArray, *, floors: Sequence[float] = (0.1,)
) -> dict[str, FloatArray]:
    """The true propensity and wrong ones.

    Args:
        pctr: ``(N,)`` true P(click | x).
        floors: Floors of the clipped propensities, in (0, 1). 0.1 is the constant of the ESCM2
            paper.

    Returns:
        ``"true"``; ``"p^0.7"``, tilted, so that it is wrong most where clicks are rare;
        ``"constant"``, the CTR; ``"true, at least 0.1"`` and so on, clipped.

    Raises:
        DataError: A floor out of range.
    """
    for floor in floors:
        if not 0 < floor < 1:
            raise DataError(f"`floors` must lie in (0, 1), found {floor}")
    pctr = np.asarray(pctr, dtype=np.float64)
    return {
        "true": pctr,
        f"p^{_TILT}": pctr**_TILT,
        "constant": np.full_like(pctr, pctr.mean()),
        **{f"true, at least {floor:g}": np.maximum(pctr, floor) for floor in floors},
    }


def usual_imputations(
    pctr: FloatArray, pcvr: FloatArray, pctcvr: FloatArray | None = None
) -> dict[str, FloatArray]:
    """A good and a bad imputed CVR.

    Args:
        pctr: ``(N,)`` true P(click | x).
        pcvr: ``(N,)`` true P(r = 1 | x).
        pctcvr: ``(N,)`` true P(click and conversion | x); by default ``pctr * pcvr``.

    Returns:
        ``"true CVR"``, and ``"constant"``: the CVR on clicks, the same for every row.
    """
    joint = pctr * pcvr if pctcvr is None else pctcvr
    return {"true CVR": pcvr, "constant": np.full_like(pcvr, joint.sum() / pctr.sum())}


def check_inputs(
    pctr: FloatArray,
    pcvr: FloatArray,
    prediction: FloatArray,
    pctcvr: FloatArray | None,
    *,
    propensities: Mapping[str, FloatArray],
    imputations: Mapping[str, FloatArray],
) -> StudyInputs:
    """Validate that arrays have one length and values in range."""
    p = _array("pctr", pctr, None)
    if len(p) == 0 or p.sum() == 0:
        raise DataError(
            f"`pctr` must make clicks possible, found {len(p):,} rows without any: pass the "
            "true P(click | x) of at least one row"
        )
    q = _array("pcvr", pcvr, len(p))
    t = p * q if pctcvr is None else _array("pctcvr", pctcvr, len(p))
    above = t > np.minimum(p, q) * (1 + _ROUNDING)
    if above.any():
        raise DataError(
            f"`pctcvr` must be at most `pctr` and at most `pcvr`, found it above in {_where(above)}"
        )
    predicted = _array("prediction", prediction, len(p))
    _strict("prediction", predicted, "its log loss is infinite: clip it", ends=(0.0, 1.0))
    weighted = {n: _array(f"propensities[{n!r}]", x, len(p)) for n, x in propensities.items()}
    for name, propensity in weighted.items():
        why = "its weight is infinite: raise it to a floor"
        _strict(f"propensities[{name!r}]", propensity, why, ends=(0.0,))
    imputed = {n: _array(f"imputations[{n!r}]", x, len(p)) for n, x in imputations.items()}
    if "" in weighted or "" in imputed:
        raise DataError("`propensities` and `imputations` must have names, found an empty one")
    return StudyInputs(p, q, predicted, np.minimum(t, p), weighted, imputed)


def _array(name: str, values: FloatArray, rows: int | None) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1 or rows not in (None, len(array)):
        wanted = "(N,)" if rows is None else f"({rows},), a value for each row of `pctr`"
        raise DataError(f"`{name}` must be {wanted}, found {array.shape}")
    outside = ~((array >= 0) & (array <= 1))
    if outside.any():
        raise DataError(
            f"`{name}` must lie in [0, 1], found {array[outside][0]:.4g} in {_where(outside)}: "
            "pass probabilities"
        )
    return array


def _strict(name: str, array: FloatArray, why: str, *, ends: tuple[float, ...]) -> None:
    for end in ends:
        at = array == end
        if at.any():
            raise DataError(f"`{name}` must not be {end:g}, found it in {_where(at)}: {why}")


def _where(rows: NDArray[np.bool_]) -> str:
    found = np.flatnonzero(rows)
    return rows_text(found.tolist(), len(found))
