"""Named scenarios, and user-defined ones from a TOML file."""

from collections.abc import Mapping
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any, cast

from mtl_seq.errors import SimulationError
from mtl_seq.simulate.common.parameter_checks import ParameterError
from mtl_seq.simulate.logistic.funnel import LogisticFunnel
from mtl_seq.simulate.logistic.parameters import MECHANISMS, Parameters
from mtl_seq.simulate.scenario_file import ScenarioFile, read_scenario

__all__ = ["scenario", "scenarios"]

# Not a package: importing a package of that name would shadow the function.
_FOLDER = resources.files("mtl_seq.simulate") / "scenarios"
_KNOWN = tuple(field.name for field in fields(Parameters))


def scenarios() -> dict[str, str]:
    """Names of the scenarios, each with its summary line."""
    files = sorted(file.name for file in _FOLDER.iterdir() if file.name.endswith(".toml"))
    return {name[:-5]: _read(name[:-5]).summary for name in files}


def scenario(name: str | Path, *, seed: int | None = None, **parameters: Any) -> LogisticFunnel:
    """Build a named scenario, or one described by a file.

    A file is TOML::

        version = 1            # raised whenever the scenario changes
        summary = "One-line summary."

        [parameters]           # parameters of `LogisticFunnel`
        rho = 0.8
        days = 7

        [parameters.delay]     # a mechanism: parameters of `Delay`
        mean = 2.0

    Args:
        name: One of `scenarios`, or a path that ends in ``.toml``.
        seed: Seed of the scenario's users and items; by default the file's, or 0.
        parameters: Parameters that override the scenario's. A mechanism's are set by
            ``**{"delay.mean": 2.0}``; a mapping replaces all of them, None removes the mechanism.

    Raises:
        SimulationError: No scenario of that name, no such file, a parameter that does not exist or
            lies outside its range; for a parameter that a file sets, with the line.

    >>> scenario("dense", rho=-0.8).rho
    -0.8
    >>> scenario("delayed", **{"delay.mean": 1.5}).delay.mean
    1.5
    """
    file = _read(name)
    if seed is not None:
        parameters["seed"] = seed
    settings: dict[str, Any] = {}
    for parameter, value in file.parameters.items():
        _check_known(parameter, value, file)
        settings[parameter] = dict(value) if isinstance(value, Mapping) else value
    for parameter, value in parameters.items():
        _check_known(parameter, value, None)
        group, _, inner = parameter.partition(".")
        if inner:
            settings[group] = {**_table(settings.get(group)), inner: value}
        else:
            settings[group] = value
    try:
        for parameter, kind in MECHANISMS.items():
            if isinstance(settings.get(parameter), Mapping):
                settings[parameter] = kind(**settings[parameter])
        return LogisticFunnel(**settings)
    except SimulationError as error:
        parameter = error.parameter if isinstance(error, ParameterError) else ""
        group, _, inner = parameter.partition(".")
        if {group, parameter} & set(parameters) or not _is_file(name):
            raise
        raise file.error(str(error), "parameters", group, *([inner] if inner else [])) from error


def _check_known(parameter: str, value: object, file: ScenarioFile | None) -> None:
    """Check that a parameter exists, and every parameter of a mechanism's table."""
    group, _, inner = parameter.partition(".")
    path: tuple[str, ...] = (parameter,)
    if group not in MECHANISMS or not (inner or isinstance(value, Mapping)):
        names, known = [parameter], _KNOWN
    else:
        path = (group,)
        names = [inner] if inner else [str(key) for key in cast("Mapping[str, Any]", value)]
        known = tuple(field.name for field in fields(MECHANISMS[group]))
    for name in names:
        if name in known:
            continue
        within = "" if known is _KNOWN else f" of {group}"
        message = f"no parameter {name!r}{within}: known are {', '.join(known)}"
        if file is None:
            raise SimulationError(message)
        raise file.error(message, "parameters", *path, *(() if known is _KNOWN else (name,)))


def _table(value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    return {field.name: getattr(value, field.name) for field in fields(value)}  # type: ignore[arg-type]


def _read(name: str | Path) -> ScenarioFile:
    if _is_file(name):
        path = Path(name)
        if not path.is_file():
            raise SimulationError(f"no scenario file {path}")
        return read_scenario(path.read_text(encoding="utf-8"), str(path))
    file = _FOLDER / f"{name}.toml"
    if not file.is_file():
        raise SimulationError(
            f"no scenario {name!r}: known are {', '.join(scenarios())}; "
            "the file of a user-defined scenario must end in .toml"
        )
    return read_scenario(file.read_text(encoding="utf-8"), f"scenario {name!r}")


def _is_file(name: str | Path) -> bool:
    return isinstance(name, Path) or name.endswith(".toml")
