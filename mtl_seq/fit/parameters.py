"""Parameters of an estimator by scikit-learn's rules."""

import inspect
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from typing import Any, Self

__all__ = ["Parameters"]


class Parameters:
    """`get_params`, `set_params`, `repr` and tags, as in `sklearn.base.BaseEstimator`.

    scikit-learn itself is not needed; with it, `sklearn.base.clone` and `GridSearchCV` work. A
    subclass's constructor stores its arguments untouched, under their names.
    """

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls).parameters
        return {name: parameter.default for name, parameter in parameters.items()}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name.

        Args:
            deep: Whether to add, as ``<name>__<parameter>``, the parameters of values that have
                `get_params` themselves.
        """
        parameters = {name: getattr(self, name) for name in self._defaults()}
        if not deep:
            return parameters
        nested = {
            f"{name}__{key}": value
            for name, part in parameters.items()
            if hasattr(part, "get_params") and not isinstance(part, type)
            for key, value in part.get_params().items()
        }
        return parameters | nested

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters by name; ``<name>__<parameter>`` sets one of a value's parameters.

        Returns:
            The estimator.

        Raises:
            ValueError: An unknown name.
        """
        nested: dict[str, dict[str, Any]] = {}
        for key, value in parameters.items():
            name, separator, rest = key.partition("__")
            if name not in self._defaults():
                raise ValueError(
                    f"unknown parameter {name!r} of {type(self).__name__}: known are "
                    f"{', '.join(self._defaults())}"
                )
            if separator:
                nested.setdefault(name, {})[rest] = value
            else:
                setattr(self, name, value)
        for name, values in nested.items():
            getattr(self, name).set_params(**values)
        return self

    def __repr__(self) -> str:
        """The class with those parameters that differ from their defaults."""
        changed = [
            f"{name}={_value_repr(getattr(self, name))}"
            for name, default in self._defaults().items()
            if not _same(getattr(self, name), default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """Tags of scikit-learn: the input is a frame with its labels, and there is no `y`."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(string=True, categorical=True, allow_nan=True),
        )


def _same(value: Any, default: Any) -> bool:
    """Whether a value is its default; NaN is itself."""
    return value is default or (type(value) is type(default) and repr(value) == repr(default))


def _value_repr(value: Any) -> str:
    """`repr`, but of functions their names, and of dataclasses the fields without defaults."""
    if isinstance(value, partial):
        arguments = [_value_repr(argument) for argument in value.args]
        arguments += [f"{name}={_value_repr(x)}" for name, x in value.keywords.items()]
        return f"partial({', '.join([_value_repr(value.func), *arguments])})"
    if inspect.isroutine(value) or isinstance(value, type):
        return value.__name__
    if is_dataclass(value):
        changed = [
            f"{f.name}={_value_repr(getattr(value, f.name))}"
            for f in fields(value)
            if f.default_factory is MISSING or f.default_factory() != getattr(value, f.name)
            if not _same(getattr(value, f.name), f.default)
        ]
        return f"{type(value).__name__}({', '.join(changed)})"
    return repr(value)
