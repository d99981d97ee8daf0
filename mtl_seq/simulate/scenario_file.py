"""Read a scenario from a TOML file, with line numbers in errors."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

from mtl_seq.errors import SimulationError

__all__ = ["ScenarioFile", "line_of", "read_scenario"]

_KEYS = ("version", "summary", "parameters")
_ASSIGNED = re.compile(r"""^\s*([\w.\-"' ]+?)\s*=""")
_HEADED = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]")


class ScenarioFile(NamedTuple):
    """A scenario file.

    Attributes:
        source: Where it was read from, for messages.
        text: The whole file.
        version: Version of the scenario; 0 where the file has none.
        summary: One-line summary.
        parameters: Parameters of `LogisticFunnel`; those of a mechanism in a nested table.
    """

    source: str
    text: str
    version: int
    summary: str
    parameters: Mapping[str, Any]

    def error(self, message: str, *key: str) -> SimulationError:
        """An error that names the file, and the line of the key where it has one."""
        line = line_of(self.text, key)
        where = self.source if line is None else f"{self.source}, line {line}"
        return SimulationError(f"{where}: {message}")


def read_scenario(text: str, source: str) -> ScenarioFile:
    """Read a scenario's description.

    Args:
        text: TOML with a ``version``, a line of ``summary`` and a table ``[parameters]``.
        source: Where it comes from, for messages.

    Raises:
        SimulationError: It is not TOML, or has other keys; with the line.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SimulationError(f"{source} must be TOML, found: {error}") from error
    file = ScenarioFile(
        source,
        text,
        content.get("version", 0),
        str(content.get("summary", "")),
        content.get("parameters", {}),
    )
    for key in content:
        if key not in _KEYS:
            raise file.error(
                f"no key {key!r}: known are {', '.join(_KEYS)}; parameters belong below "
                "[parameters]",
                key,
            )
    if isinstance(file.version, bool) or not isinstance(file.version, int) or file.version < 1:
        raise file.error(
            f"`version` must be a whole number from 1, raised whenever the scenario changes, "
            f"found {content.get('version')!r}",
            "version",
        )
    if not isinstance(content.get("summary"), str) or "\n" in file.summary.strip():
        raise file.error(
            f"`summary` must be one line of text, found {content.get('summary')!r}", "summary"
        )
    if not isinstance(file.parameters, dict):
        raise file.error(f"`parameters` must be a table, found {file.parameters!r}", "parameters")
    return file


def line_of(text: str, key: tuple[str, ...]) -> int | None:
    r"""The line, from 1, on which a key is set, or else that of the table or value around it.

    >>> text = "[parameters]\nrho = 0.4\n[parameters.delay]\nmean = 3"
    >>> line_of(text, ("parameters", "delay", "mean"))
    4
    """
    table: tuple[str, ...] = ()
    best, depth = None, 0
    for number, line in enumerate(text.splitlines(), start=1):
        headed, assigned = _HEADED.match(line), _ASSIGNED.match(line)
        if headed:
            current = table = _parts(headed[1])
        elif assigned:
            current = (*table, *_parts(assigned[1]))
        else:
            continue
        if current == key[: len(current)] and len(current) > depth:
            best, depth = number, len(current)
    # The table of all parameters does not locate one of them.
    return best if depth > 1 or len(key) == 1 else None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
