"""JSON form of builders, read without running code from the file."""

import dataclasses
import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from mtl_seq.errors import ArtifactError

__all__ = ["builder_from_dict", "builder_to_dict"]

_PACKAGES = (
    "mtl_seq.models",
    "mtl_seq.nn",
    "mtl_seq.losses",
    "mtl_seq.fit.balance",
    "mtl_seq.calibration",
    "mtl_seq.fit.optim",
)


def builder_to_dict(builder: Callable[..., Any]) -> dict[str, Any] | None:
    """A builder of this package, or a partial of one, as JSON; None for a user-defined one."""
    try:
        encoded: dict[str, Any] = _encode(builder)
        return encoded
    except LookupError:
        return None


def builder_from_dict(content: dict[str, Any]) -> Callable[..., Any]:
    """Read what `builder_to_dict` wrote.

    Raises:
        ArtifactError: A name that is not public in this package.
    """
    try:
        decoded: Callable[..., Any] = _decode(content)
    except (TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"the builder {content} cannot be read: {error}") from error
    if not callable(decoded):
        raise ArtifactError(
            f"a builder must be a public function of {_PACKAGES[0]}, found {content}"
        )
    return decoded


def _encode_callable(value: Callable[..., Any]) -> dict[str, Any]:
    if isinstance(value, partial):
        if value.args:
            raise LookupError("positional arguments of a partial have no names")
        inner = _encode_callable(value.func)
        arguments = {name: _encode(argument) for name, argument in value.keywords.items()}
        return {"name": inner["name"], "partial": {**inner.get("partial", {}), **arguments}}
    return {"name": _public_name(value)}


def _encode(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    if isinstance(value, dict):
        return {"dict": {str(key): _encode(item) for key, item in value.items()}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"name": _public_name(type(value)), "make": fields}
    if callable(value):
        return _encode_callable(value)
    raise LookupError(f"{value!r} has no JSON form")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {key: _decode(item) for key, item in value["dict"].items()}
    named = _resolve(value.get("name"))
    if "make" in value:
        return named(**{name: _decode(item) for name, item in value["make"].items()})
    if "partial" in value:
        return partial(named, **{name: _decode(item) for name, item in value["partial"].items()})
    return named


def _public_name(value: Any) -> str:
    name = str(getattr(value, "__name__", None))
    for package in _PACKAGES:
        module = importlib.import_module(package)
        if name in module.__all__ and getattr(module, name) is value:
            return f"{package}.{name}"
    raise LookupError(f"{value!r} is not public in this package")


def _resolve(name: Any) -> Any:
    package, _, attribute = str(name).rpartition(".")
    if package not in _PACKAGES or attribute not in importlib.import_module(package).__all__:
        raise ArtifactError(
            f"the file names {name!r}, which is no public part of {', '.join(_PACKAGES)}: if it is "
            "a builder of yours, pass it, `load(path, model=builder)`"
        )
    return getattr(importlib.import_module(package), attribute)
