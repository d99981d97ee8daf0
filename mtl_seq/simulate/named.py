"""Worlds by name."""

import tomllib
from importlib import resources
from typing import Any

from mtl_seq.errors import SimulationError
from mtl_seq.simulate.logistic import LogisticFunnel

__all__ = ["scenario", "scenarios"]

# Not a package: importing one of that name would put it in the place of the function.
_FOLDER = resources.files("mtl_seq.simulate") / "scenarios"


def scenarios() -> dict[str, str]:
    """The named scenarios, each with one line of what it is."""
    files = sorted(file.name for file in _FOLDER.iterdir() if file.name.endswith(".toml"))
    return {name[:-5]: str(_read(name[:-5])["summary"]) for name in files}


def scenario(name: str, *, seed: int = 0, **knobs: Any) -> LogisticFunnel:
    """Build a named world.

    Args:
        name: One of `scenarios`.
        seed: Seed of the world's users and items.
        knobs: Knobs of `LogisticFunnel` to set otherwise.

    Returns:
        The world.

    Raises:
        SimulationError: No scenario of that name, or a knob that does not exist.

    >>> scenario("dense", rho=-0.8).rho
    -0.8
    """
    settings = {**_read(name)["knobs"], **knobs, "seed": seed}
    known = [field for field in LogisticFunnel.__dataclass_fields__ if field != "_world"]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise SimulationError(f"no knob {unknown[0]!r}: known are {', '.join(known)}")
    return LogisticFunnel(**settings)


def _read(name: str) -> dict[str, Any]:
    file = _FOLDER / f"{name}.toml"
    if not file.is_file():
        raise SimulationError(f"no scenario {name!r}: known are {', '.join(scenarios())}")
    return tomllib.loads(file.read_text(encoding="utf-8"))
