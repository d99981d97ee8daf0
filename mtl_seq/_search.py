"""Search of parameters: a grid, random sampling, or Optuna's TPE sampler.

Optuna comes with the extra ``[tune]`` and is imported by the first search that needs it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from math import comb
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from mtl_seq.errors import CompositionError
from mtl_seq.models import Choice, SearchSpace

if TYPE_CHECKING:
    import optuna

__all__ = ["Sampler", "Simplex", "Trial", "import_optuna", "search"]

Sampler = Literal["random", "grid", "tpe"]


class Simplex(NamedTuple):
    """Weights that are at least 0 and add up to 1.

    Attributes:
        names: One name per weight.
    """

    names: tuple[str, ...]


class Trial(NamedTuple):
    """A finished trial.

    Attributes:
        values: The parameters by name.
        value: The objective.
    """

    values: Mapping[str, Any]
    value: float


def search(
    space: SearchSpace | Simplex,
    objective: Callable[[Mapping[str, Any]], float],
    *,
    trials: int,
    seed: int,
    sampler: Sampler = "tpe",
    first: Sequence[Mapping[str, Any]] = (),
    storage: Path | None = None,
    catch: tuple[type[Exception], ...] = (),
    callback: Callable[[int, Trial], None] | None = None,
) -> list[Trial]:
    """Minimise an objective over a space.

    Args:
        space: The parameters. A grid and random sampling take a `Simplex`.
        objective: Parameters by name to the value that is minimised.
        trials: The number of trials, `first` and those already in `storage` included; a grid is the
            finest one that needs no more.
        seed: Seed of the sampler.
        sampler: ``"random"``, ``"grid"``, or ``"tpe"``: Optuna's tree-structured Parzen estimator.
        first: Parameters to try before any is sampled.
        storage: SQLite file of a TPE study, which a later call resumes; None to keep it in memory.
        catch: Exceptions of the objective that fail a TPE trial and not the search.
        callback: Called with the trial's number, from 1, and the trial, once it is evaluated.

    Returns:
        The finished trials in their order.

    Raises:
        CompositionError: An unknown sampler, or Optuna is not installed.
    """
    if sampler not in get_args(Sampler):
        raise CompositionError(f"`sampler` must be one of {get_args(Sampler)}, found {sampler!r}")

    def evaluate(number: int, values: Mapping[str, Any]) -> Trial:
        trial = Trial(values, objective(values))
        if callback is not None:
            callback(number, trial)
        return trial

    if sampler != "tpe":
        assert isinstance(space, Simplex)
        left = trials - len(first)
        points = _grid(space, left) if sampler == "grid" else _random(space, left, seed)
        tried = [*first, *(point for point in points if point not in first)]
        return [evaluate(number, values) for number, values in enumerate(tried, 1)]

    library = import_optuna()
    verbosity = library.logging.get_verbosity()
    library.logging.set_verbosity(library.logging.WARNING)
    try:
        study = library.create_study(
            storage=None if storage is None else f"sqlite:///{storage.resolve()}",
            study_name="tune",
            load_if_exists=True,
        )
        # With the same seed, a resumed study would sample the same points a second time.
        study.sampler = library.samplers.TPESampler(seed=seed + len(study.trials))
        for values in () if study.trials else first:
            study.enqueue_trial(dict(values))
        study.optimize(
            lambda trial: evaluate(trial.number + 1, _suggest(trial, space)).value,
            n_trials=max(trials - len(_finished(study, space)), 0),
            catch=catch,
        )
        return _finished(study, space)
    finally:
        library.logging.set_verbosity(verbosity)


def import_optuna() -> Any:
    """Import Optuna, or say which extra installs it."""
    try:
        import optuna
    except ImportError as error:
        raise CompositionError(
            "a TPE search needs Optuna: install the extra, `pip install 'mtl_seq[tune]'`"
        ) from error
    return optuna


def _random(space: Simplex, count: int, seed: int) -> Iterator[dict[str, float]]:
    """Points uniform on the simplex."""
    rows = np.random.default_rng(seed).dirichlet(np.ones(len(space.names)), size=count)
    return (dict(zip(space.names, row, strict=True)) for row in rows)


def _grid(space: Simplex, count: int) -> Iterator[dict[str, float]]:
    """The finest lattice of the simplex with at most `count` points: multiples of 1/steps."""
    width = len(space.names)
    if width < 2:
        return
    steps = 1
    while comb(steps + width, width - 1) <= count:
        steps += 1
    # Bars between the steps split them into one number of steps per weight.
    for bars in combinations(range(steps + width - 1), width - 1):
        ends = np.diff([-1, *bars, steps + width - 1]) - 1
        yield dict(zip(space.names, (ends / steps).tolist(), strict=True))


def _suggest(trial: "optuna.trial.BaseTrial", space: SearchSpace | Simplex) -> dict[str, Any]:
    """The parameters of a trial, sampled or, of a finished one, as they were."""
    if isinstance(space, Simplex):
        raw = np.array([trial.suggest_float(name, 0.0, 1.0) for name in space.names])
        total = raw.sum()
        weights = raw / total if total > 0 else np.full(len(raw), 1 / len(raw))
        return dict(zip(space.names, weights.tolist(), strict=True))
    return {
        name: trial.suggest_categorical(name, one.options)
        if isinstance(one, Choice)
        else trial.suggest_float(name, one.low, one.high, log=one.log)
        for name, one in space.items()
    }


def _finished(study: "optuna.Study", space: SearchSpace | Simplex) -> list[Trial]:
    return [
        Trial(_suggest(trial, space), trial.value)
        for trial in study.trials
        if trial.state.name == "COMPLETE" and trial.value is not None
    ]
