"""Semi-synthetic data: a real log with simulated clicks and conversions of known truth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mtl_seq.errors import SimulationError
from mtl_seq.funnel import OTHER, Funnel, Stage
from mtl_seq.records import FloatArray, FunnelTruth, IntArray
from mtl_seq.schema import Schema

__all__ = ["SemiSynthetic", "Teacher"]

Teacher = Mapping[str, FloatArray] | Callable[[pd.DataFrame], Mapping[str, FloatArray]]
"""Probabilities by name, or a function of a log that returns them."""


@dataclass(frozen=True, eq=False)
class SemiSynthetic:
    """Features and exposure of a real log, with labels drawn from a teacher's probabilities.

    The teacher gives, for every row of the log, each conditional of the schema's funnel by its
    name: ``{"click": p, "conversion": q}`` for the common one, p = P(o = 1 | x) and
    q = P(r = 1 | x); ``Funnel.conditionals`` has the names of others, such as ``conversion|cart``.
    A model fitted on the real labels can be the teacher, so that the relabelled log looks like the
    real one. Given x, click and potential conversion are independent: nothing is hidden.

    A draw holds the schema's features, group, time and weight; a logged propensity belongs to the
    real clicks and is left out. ``truth.hidden`` has ``row``, the position in the real log, and
    ``potential_<stage>``; ``truth.further`` has P(stage | x) of the stages
    between and, for a mediator m of the last, ``m_then_<last>``.

    Attributes:
        log: The real log; not modified.
        real: The roles of its columns; label columns may be absent.
        teacher: The probabilities, ``(N,)`` each, or a function of the log that gives them.
        replace: Whether a row may be drawn more than once.

    Raises:
        SimulationError: Probabilities of other names, another length or outside [0, 1]; a click
            that is certain or impossible; exclusive actions with more than 1 together.

    >>> log = pd.DataFrame({"user": [7, 7, 9], "clicked": 0, "bought": 0})
    >>> schema = Schema(labels={"click": "clicked", "conversion": "bought"}, ids=["user"])
    >>> teacher = {"click": np.full(3, 0.5), "conversion": np.array([0.1, 0.2, 0.3])}
    >>> simulator = SemiSynthetic(log, schema, teacher)
    >>> drawn, truth = simulator.sample(3, np.random.default_rng(0))
    >>> drawn["user"].tolist(), truth.pcvr.tolist()
    ([7, 7, 9], [0.1, 0.2, 0.3])
    """

    log: pd.DataFrame
    real: Schema
    teacher: Teacher
    replace: bool = False
    _probabilities: dict[str, FloatArray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        stated = self.teacher(self.log) if callable(self.teacher) else self.teacher
        probabilities = {name: np.array(p, dtype=np.float64) for name, p in stated.items()}
        _check(probabilities, self.real.funnel, len(self.log))
        absent = [column for column in self._columns() if column not in self.log.columns]
        if absent:
            raise SimulationError(
                f"`log` must hold the schema's columns {absent}, found {list(self.log.columns)}"
            )
        object.__setattr__(self, "_probabilities", probabilities)

    @property
    def schema(self) -> Schema:
        """The roles of a draw's columns: the real log's, without a logged propensity."""
        return replace(self.real, propensity=None)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, FunnelTruth]:
        """Draw n rows of the log, in its order, and label them; see `Simulator.sample`.

        Without replacement n is at most the number of rows; all of them are the real exposure.
        """
        most = len(self.log)
        if n < 1 or (n > most and not self.replace):
            raise SimulationError(
                f"`n` must lie in [1, {most}], the rows of the log, found {n}: pass replace=True "
                "to draw rows more than once"
            )
        rows = np.arange(most) if n == most and not self.replace else self._draw_rows(n, rng)
        probabilities = {name: values[rows] for name, values in self._probabilities.items()}
        funnel = self.real.funnel
        draws = _potentials(funnel, probabilities, rng)
        click = rng.random(n) < probabilities[funnel.first]
        drawn = self.log[self._columns()].iloc[rows].reset_index(drop=True)
        for stage, column in self.real.labels.items():
            drawn[column] = (click * draws[stage]).astype(np.int64)
        return drawn, _truth(funnel, probabilities, draws, rows)

    def _draw_rows(self, n: int, rng: np.random.Generator) -> IntArray:
        rows: IntArray = np.sort(rng.choice(len(self.log), size=n, replace=self.replace))
        return rows

    def _columns(self) -> list[str]:
        """Columns of the log that a draw keeps."""
        schema = self.real
        kept = [*schema.features, *schema.bag_weights.values()]
        kept += [c for c in (schema.group, schema.time, schema.weight) if c]
        return list(dict.fromkeys(kept))


def _potentials(
    funnel: Funnel, probabilities: Mapping[str, FloatArray], rng: np.random.Generator
) -> dict[str, FloatArray]:
    """By stage, whether an impression would reach it if clicked."""
    n = len(probabilities[funnel.first])
    mediated: dict[str, FloatArray] = {}
    for stage in funnel.stages:
        # One uniform picks among exclusive mediators and none of them.
        uniform, below = rng.random(n) if stage.via else np.zeros(0), np.zeros(n)
        for name in stage.via:
            above = below + probabilities[name]
            mediated[name] = ((uniform >= below) & (uniform < above)).astype(float)
            below = above
    reached = {funnel.first: np.ones(n)}
    for stage in funnel.stages[1:]:
        if stage.name in mediated:
            happens = mediated[stage.name]
        else:
            probability = _stage_probability(stage, probabilities, mediated)
            happens = (rng.random(n) < probability).astype(float)
        reached[stage.name] = reached[str(stage.after)] * happens
    return reached


def _stage_probability(
    stage: Stage, probabilities: Mapping[str, FloatArray], mediators: Mapping[str, FloatArray]
) -> FloatArray:
    """P(stage | its parent): mixed over its mediators by their probabilities, or by their draws."""
    if not stage.via:
        return probabilities[stage.name]
    none = 1 - np.sum([mediators[name] for name in stage.via], axis=0)
    probability: FloatArray = none * probabilities[f"{stage.name}|{OTHER}"]
    for name in stage.via:
        probability += mediators[name] * probabilities[f"{stage.name}|{name}"]
    return probability


def _truth(
    funnel: Funnel,
    probabilities: Mapping[str, FloatArray],
    draws: Mapping[str, FloatArray],
    rows: IntArray,
) -> FunnelTruth:
    given_click = {funnel.first: np.ones(len(rows))}
    for stage in funnel.stages[1:]:
        parent = given_click[str(stage.after)]
        given_click[stage.name] = parent * _stage_probability(stage, probabilities, probabilities)
    pctr, pcvr = probabilities[funnel.first], given_click[funnel.last]
    between, last = funnel.names[1:-1], funnel.stages[-1]
    further = {name: pctr * given_click[name] for name in between}
    for name in last.via:
        converts = probabilities[f"{last.name}|{name}"]
        further[f"{name}_then_{last.name}"] = further[name] * converts
    hidden = {f"potential_{name}": draws[name] for name in between}
    hidden["row"] = rows.astype(np.float64)
    potential = draws[funnel.last]
    return FunnelTruth(pctr, pcvr, pctr * pcvr, pctr, pcvr, potential, further, hidden)


def _check(probabilities: Mapping[str, FloatArray], funnel: Funnel, rows: int) -> None:
    names = [conditional.name for conditional in funnel.conditionals]
    if set(probabilities) != set(names):
        raise SimulationError(
            f"`teacher` must give the funnel's conditionals {names}, found {list(probabilities)}"
        )
    for name, values in probabilities.items():
        if values.shape != (rows,):
            raise SimulationError(
                f"`teacher` must give {name!r} one value for each of the {rows:,} rows of the log, "
                f"found shape {values.shape}"
            )
        within = (values >= 0) & (values <= 1)
        if name == funnel.first:
            within = (values > 0) & (values < 1)
        if not within.all():
            bounds = "(0, 1)" if name == funnel.first else "[0, 1]"
            raise SimulationError(
                f"`teacher` must give {name!r} probabilities in {bounds}, found "
                f"{values[~within][0]} in row {int(np.argmin(within))}"
            )
    for stage in funnel.stages:
        together = np.sum([probabilities[name] for name in stage.via], axis=0)
        if len(stage.via) > 1 and together.max() > 1:
            raise SimulationError(
                f"`teacher` must give the exclusive actions {list(stage.via)} at most 1 together"
            )
