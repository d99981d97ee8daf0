"""Parameters of `LogisticFunnel` and their ranges."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal

from mtl_seq.simulate.common.parameter_checks import (
    ParameterError,
    check_choice,
    check_number,
    check_numbers,
    check_share,
)
from mtl_seq.simulate.logistic.actions import Actions
from mtl_seq.simulate.logistic.context import Context
from mtl_seq.simulate.logistic.delay import Delay
from mtl_seq.simulate.logistic.drift import Drift
from mtl_seq.simulate.logistic.exposure import Exposure

__all__ = ["MECHANISMS", "Parameters"]

MECHANISMS = {
    "exposure": Exposure,
    "context": Context,
    "actions": Actions,
    "delay": Delay,
    "drift": Drift,
}
"""Parameter groups; each is None where the scenario does not have the mechanism."""

_RANGES = {
    "rho": (-1, 1),
    "click_slope": (0, 20),
    "conversion_slope": (0, 20),
    "curvature": (-20, 20),
    "confounder": (0, 20),
    "mnar": (-20, 20),
    "id_effects": (0, 1),
    "interaction": (0, 1),
    "user_zipf": (0, 5),
    "item_zipf": (0, 5),
}
_WHOLE = {
    "users": (2, 10_000_000),
    "items": (2, 10_000_000),
    "tastes": (1, 64),
    "days": (0, 100_000),
    "seed": (0, 2**63),
}


@dataclass(frozen=True)
class Parameters:
    """Parameters of `LogisticFunnel`, which documents them."""

    users: int = 5000
    items: int = 1000
    rho: float = 0.4
    click_slope: float = 1.0
    conversion_slope: float = 1.0
    ctr: float = 0.2
    cvr: float = 0.2
    confounder: float = 0.0
    mnar: float = 0.0
    id_effects: float = 0.3
    interaction: float = 0.1
    user_zipf: float = 0.4
    item_zipf: float = 0.8
    hidden_from: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seed: int = 0
    cvr_over: Literal["clicks", "impressions"] = "clicks"
    curvature: float = 0.0
    tastes: int = 4
    user_attributes: Sequence[int] = (8, 8)
    item_attributes: Sequence[int] = (12, 20)
    confounder_click: float | None = None
    confounder_conversion: float | None = None
    confounder_per: Literal["impression", "user"] = "impression"
    days: int = 0
    exposure: Exposure | None = None
    context: Context | None = None
    actions: Actions | None = None
    delay: Delay | None = None
    drift: Drift | None = None

    def _check_parameters(self) -> None:
        """Check that every parameter lies in its range and has the parameters it depends on.

        Raises:
            ParameterError: A parameter outside its range, or without the one it depends on.
        """
        for name, (low, high) in _WHOLE.items():
            check_number(name, getattr(self, name), low, high, whole=True)
        for name, (low, high) in _RANGES.items():
            check_number(name, getattr(self, name), low, high)
        for name in ("ctr", "cvr"):
            check_share(name, getattr(self, name))
        for name in ("confounder_click", "confounder_conversion"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), -20, 20)
        check_choice("confounder_per", self.confounder_per, ("impression", "user"))
        check_choice("cvr_over", self.cvr_over, ("clicks", "impressions"))
        for name in ("user_attributes", "item_attributes"):
            check_numbers(name, getattr(self, name), 1, 100_000, whole=True)
        for name, kind in MECHANISMS.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise ParameterError.of(
                    name, f"must be a `simulate.{kind.__name__}` or None, found {value!r}"
                )
            if name in ("delay", "drift") and value is not None and self.days < 1:
                raise ParameterError(
                    f"`days` must be at least 1 in a scenario with a `{name}`, found {self.days}",
                    name,
                )

    @property
    def loadings(self) -> tuple[float, float]:
        """Loadings of the confounder on the click and the conversion logit."""
        click, conversion = self.confounder_click, self.confounder_conversion
        return (
            self.confounder if click is None else click,
            self.confounder if conversion is None else conversion,
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters, ready for JSON or TOML: mechanisms as dicts, without absent ones."""
        plain: dict[str, Any] = {}
        for parameter in fields(Parameters):
            value = getattr(self, parameter.name)
            if is_dataclass(value) and not isinstance(value, type):
                value = {k: _plain(v) for k, v in asdict(value).items() if v is not None}
            if value is not None:
                plain[parameter.name] = _plain(value)
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value
