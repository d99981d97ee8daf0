"""Search of a fusion's weights on validation rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq._search import Sampler, Simplex, search
from mtl_seq.data.validate.checks import check_labels
from mtl_seq.errors import CompositionError, DataError, SchemaError
from mtl_seq.fusion.fusion import Kind, ScoreFusion, checked
from mtl_seq.fusion.order import order_within, pareto_front
from mtl_seq.schema import Schema

__all__ = ["FusionSearch", "search_fusion"]

FloatArray = NDArray[np.float64]
Weights = Mapping[str, float]


@dataclass(frozen=True)
class FusionSearch:
    """Result of a search for the weights of a fusion.

    Attributes:
        trials: A row per trial: ``weight:<component>`` (which add up to 1), ``ctr`` and ``ctcvr``
            (the AUCs), ``utility``, ``allowed`` (whether ``ctr`` reaches `least_ctr`) and ``front``
            (whether the trial is on the Pareto front).
        best: The allowed fusion with the greatest utility.
        grouped: Whether AUCs are within users or requests, or over all impressions.
        names: The components.
    """

    trials: pd.DataFrame
    best: ScoreFusion
    grouped: bool
    names: tuple[str, ...]

    def plot(self, path: str | Path) -> None:
        """Plot the trials and their Pareto front, CTR against CTCVR, to a file."""
        from mtl_seq.fusion.plot import front_figure
        from mtl_seq.report.render.plot_bias import save

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
    sampler: Sampler = "random",
    seed: int = 0,
) -> FusionSearch:
    """Search the weights of a fusion on validation rows.

    The search maximises ``ctr_share * AUC of clicks + (1 - ctr_share) * AUC of conversions``, both
    of the fused score over all impressions: within the schema's group (user or request) if it has
    one, else overall. Equal weights and each component alone are tried first. Evaluate the chosen
    fusion once on other rows, and search with several seeds: on the rows it was chosen on, the best
    of many trials looks better than it is.

    Args:
        components: By name, one score per impression of the log; see `ScoreFusion.fuse`.
        log: Validation rows with their labels.
        schema: The roles of the log's columns.
        kind: How scores are fused.
        constant: The constant c of rank fusion.
        ctr_share: Weight of the clicks' AUC, in [0, 1].
        least_ctr: The AUC of clicks that a fusion must reach, for example 0.99 of that of the best
            component; None for no such bound.
        trials: The number of trials, at least one more than there are components.
        sampler: ``"random"``: weights uniform on the simplex; ``"grid"``: the finest regular grid
            that needs no more than `trials`; ``"tpe"``: Optuna's tree-structured Parzen estimator,
            which needs the extra ``[tune]``.
        seed: Seed of the search.

    Raises:
        DataError: Components of other rows than the log's, or labels without both values.
        SchemaError: A label or group column is absent.
        CompositionError: Too few trials, a share outside [0, 1], a `least_ctr` that no trial
            reaches, an unknown sampler, or Optuna is not installed.
    """
    names = tuple(components)
    if not 0 <= ctr_share <= 1:
        raise CompositionError(f"`ctr_share` must lie in [0, 1], found {ctr_share}")
    if trials <= len(names):
        raise CompositionError(
            f"`trials` must be at least {len(names) + 1}, for each component alone and equal "
            f"weights, found {trials}"
        )
    arrays, index = checked(components, positive=kind == "geometric")
    if not log.index.equals(index):
        raise DataError(
            f"`log` must hold the rows of the components, found {len(log):,} rows for "
            f"{len(index):,} scores, or another index: predict the rows of this log"
        )
    click, conversion, group, codes = _observed(schema, log)
    tried: list[tuple[Weights, float, float]] = []

    def loss(weights: Weights) -> float:
        fused = ScoreFusion(weights, kind, constant).combine(arrays, group)
        ctr, ctcvr = (order_within(fused, label, codes) for label in (click, conversion))
        if not np.isfinite(ctr + ctcvr):
            raise DataError(
                "the AUC of clicks or of conversions is undefined within every user or request of "
                "these rows: none has both labels; take more rows, or a wider `group`"
            )
        tried.append((weights, ctr, ctcvr))
        # A fusion below `least_ctr` is penalised by how far it is below.
        missing = 0.0 if least_ctr is None else max(least_ctr - ctr, 0.0)
        return 10 * missing - _utility(ctr, ctcvr, ctr_share)

    first = [*_anchors(names)]
    search(Simplex(names), loss, trials=trials, seed=seed, sampler=sampler, first=first)
    table = _table(tried, ctr_share, least_ctr)
    if not table["allowed"].any():
        raise CompositionError(
            f"no trial reaches `least_ctr` {least_ctr}: the best AUC of clicks is "
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
    click, conversion = (log[column].to_numpy(dtype=np.float64) for column in (first, last))
    return click, conversion, group, codes


def _anchors(names: tuple[str, ...]) -> Iterator[Weights]:
    """Equal weights, then each component alone."""
    yield dict.fromkeys(names, 1 / len(names))
    if len(names) > 1:
        for alone in names:
            yield {name: float(name == alone) for name in names}


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
