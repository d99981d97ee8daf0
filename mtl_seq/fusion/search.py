"""Searching the weights of a fusion on validation rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data import check_labels
from mtl_seq.errors import CompositionError, DataError, SchemaError
from mtl_seq.fusion.fusion import Kind, ScoreFusion, checked
from mtl_seq.fusion.order import order_within, pareto_front
from mtl_seq.schema import Schema

__all__ = ["FusionSearch", "search_fusion"]

FloatArray = NDArray[np.float64]
Weights = dict[str, float]
Measure = Callable[[Weights], tuple[float, float]]

_WAY_OUT = "install the extra, `pip install 'mtl_seq[tune]'`, or search at random"


@dataclass(frozen=True)
class FusionSearch:
    """What was tried.

    Attributes:
        trials: A row per trial: ``weight:<component>`` (which add up to 1), ``ctr`` and ``ctcvr``
            (the AUCs), ``utility``, ``allowed`` (whether it keeps the least CTR) and ``front``
            (whether no other trial is at least as good in both and better in one).
        best: The fusion of the greatest utility that is allowed.
        grouped: Whether AUCs are within users or requests, or over all impressions.
        names: The components.
    """

    trials: pd.DataFrame
    best: ScoreFusion
    grouped: bool
    names: tuple[str, ...]

    def plot(self, path: str | Path) -> None:
        """Draw the trials and their front, CTR against CTCVR, into a file."""
        from mtl_seq.fusion.plot import front_figure, save

        kind = self.best.kind
        save(front_figure(self.trials, self.names, kind=kind, grouped=self.grouped), path)


def search_fusion(
    components: Mapping[str, pd.Series],
    log: pd.DataFrame,
    *,
    schema: Schema,
    kind: Kind = "geometric",
    constant: float = 60.0,
    ctr_share: float = 0.5,
    least_ctr: float | None = None,
    trials: int = 200,
    sampler: Literal["random", "tpe"] = "random",
    seed: int = 0,
) -> FusionSearch:
    """Search the weights of a fusion on validation rows.

    What is maximised is ``ctr_share * AUC of clicks + (1 - ctr_share) * AUC of conversions``, both
    of the fused score over all impressions: within the schema's group (user or request) where there
    is one, else overall. Every component alone and all in equal parts are tried first. Report the
    fusion that is found on other rows, once, and search with several seeds: the best of many trials
    looks better on the rows it was chosen on than it is.

    Args:
        components: By name, one score per impression of the log; see `ScoreFusion.fuse`.
        log: Validation rows with their labels.
        schema: The roles of the log's columns.
        kind: How scores are fused.
        constant: c of rank fusion.
        ctr_share: Weight of the clicks' AUC, in [0, 1].
        least_ctr: An AUC of clicks that a fusion must keep, for example 0.99 of that of the best
            component; None for none.
        trials: How many, at least one more than there are components.
        sampler: ``"random"``: weights even on the simplex; ``"tpe"``: Optuna's tree-structured
            Parzen estimator, which needs the extra ``[tune]``.
        seed: Seed of the search.

    Returns:
        The trials and the best of them.

    Raises:
        DataError: Components of other rows than the log's, or labels without both values.
        SchemaError: A label or group column that is absent.
        CompositionError: Too few trials, a share outside [0, 1], a least CTR that no trial keeps,
            another sampler, or Optuna is not installed.
    """
    names = tuple(components)
    if not 0 <= ctr_share <= 1:
        raise CompositionError(f"`ctr_share` must lie in [0, 1], found {ctr_share}")
    if trials <= len(names):
        raise CompositionError(
            f"`trials` must be at least {len(names) + 1}, each component alone and all in equal "
            f"parts, found {trials}"
        )
    arrays, index = checked(components, positive=kind == "geometric")
    if not log.index.equals(index):
        raise DataError(
            f"`log` must hold the rows of the components, found {len(log):,} rows for "
            f"{len(index):,} scores, or another index: predict the rows of this log"
        )
    click, conversion, group, codes = _observed(schema, log)

    def measure(weights: Weights) -> tuple[float, float]:
        fused = ScoreFusion(weights, kind, constant).combine(arrays, group)
        return order_within(fused, click, codes), order_within(fused, conversion, codes)

    tried = [(weights, *measure(weights)) for weights in _anchors(names)]
    if not all(np.isfinite(value) for _, *pair in tried for value in pair):
        raise DataError(
            "the AUC of clicks or of conversions is undefined on every user or request of these "
            "rows: none holds both labels; take more rows, or a wider `group`"
        )
    left = trials - len(tried)
    if sampler == "random":
        rng = np.random.default_rng(seed)
        drawn = (dict(zip(names, row, strict=True)) for row in _simplex(rng, left, len(names)))
        tried += [(weights, *measure(weights)) for weights in drawn]
    elif sampler == "tpe":
        tried += _tpe(names, measure, tried, left, ctr_share, least_ctr, seed)
    else:
        raise CompositionError(f"`sampler` must be 'random' or 'tpe', found {sampler!r}")
    table = _table(tried, ctr_share, least_ctr)
    if not table["allowed"].any():
        raise CompositionError(
            f"no trial keeps `least_ctr` {least_ctr}: the best AUC of clicks is "
            f"{table['ctr'].max():.4f}"
        )
    best = int(table["utility"].where(table["allowed"]).idxmax())
    return FusionSearch(
        table, ScoreFusion(tried[best][0], kind, constant), group is not None, names
    )


def _observed(
    schema: Schema, log: pd.DataFrame
) -> tuple[FloatArray, FloatArray, pd.Series | None, NDArray[np.int64]]:
    wanted = [*schema.labels.values(), *((schema.group,) if schema.group else ())]
    absent = [column for column in wanted if column not in log.columns]
    if absent:
        raise SchemaError(f"the log must hold the columns {absent}, found {list(log.columns)}")
    check_labels(schema, log)
    first, last = (schema.labels[name] for name in (schema.funnel.first, schema.funnel.last))
    group = None if schema.group is None else log[schema.group]
    codes = (
        np.zeros(len(log), dtype=np.int64)
        if group is None
        else pd.factorize(group, use_na_sentinel=False)[0].astype(np.int64)
    )
    labels = (log[column].to_numpy(dtype=np.float64) for column in (first, last))
    click, conversion = labels
    return click, conversion, group, codes


def _anchors(names: tuple[str, ...]) -> Iterator[Weights]:
    """All in equal parts, then each alone."""
    yield dict.fromkeys(names, 1 / len(names))
    if len(names) > 1:
        for alone in names:
            yield {name: float(name == alone) for name in names}


def _simplex(rng: np.random.Generator, count: int, width: int) -> FloatArray:
    drawn: FloatArray = rng.dirichlet(np.ones(width), size=count)
    return drawn


def _utility(ctr: float, ctcvr: float, share: float) -> float:
    return share * ctr + (1 - share) * ctcvr


def _table(
    tried: list[tuple[Weights, float, float]], share: float, least_ctr: float | None
) -> pd.DataFrame:
    table = pd.DataFrame(
        [{f"weight:{name}": w for name, w in weights.items()} for weights, *_ in tried]
    )
    points = np.array([pair for _, *pair in tried])
    table["ctr"], table["ctcvr"] = points.T
    table["utility"] = _utility(table["ctr"], table["ctcvr"], share)
    table["allowed"] = True if least_ctr is None else table["ctr"] >= least_ctr
    table["front"] = pareto_front(points)
    return table


def _tpe(
    names: tuple[str, ...],
    measure: Measure,
    known: list[tuple[Weights, float, float]],
    trials: int,
    share: float,
    least_ctr: float | None,
    seed: int,
) -> list[tuple[Weights, float, float]]:
    try:
        import optuna
    except ImportError as error:
        raise CompositionError(f"`sampler='tpe'` needs Optuna: {_WAY_OUT}") from error
    found: list[tuple[Weights, float, float]] = []

    def value(trial: optuna.Trial) -> float:
        raw = np.array([trial.suggest_float(name, 0.0, 1.0) for name in names])
        total = raw.sum()
        share_of = raw / total if total > 0 else np.full(len(raw), 1 / len(raw))
        weights = dict(zip(names, share_of.tolist(), strict=True))
        ctr, ctcvr = measure(weights)
        found.append((weights, ctr, ctcvr))
        # What is not allowed is the worse the further off it is.
        missing = 0.0 if least_ctr is None else max(least_ctr - ctr, 0.0)
        return _utility(ctr, ctcvr, share) - 10 * missing

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
        )
        for weights, *_ in known:
            study.enqueue_trial(weights)
        study.optimize(value, n_trials=trials + len(known))
    finally:
        optuna.logging.set_verbosity(level)
    return found[len(known) :]
