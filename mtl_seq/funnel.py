"""Funnel: the stages, and the stage after which each of them can be observed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mtl_seq.errors import FunnelError

__all__ = ["OTHER", "Conditional", "Funnel", "Stage"]

OTHER = "other"
"""Name of the path to a mediated stage through none of its mediators."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a funnel.

    Attributes:
        name: Its name, for example ``"click"``.
        after: Its parent, the stage without which it cannot happen; None for the first, which
            follows the impression.
        via: Mediators: stages with the same parent through which this one may be reached. One
            mediator is a yes or no (ESM2's cart); several are exclusive classes beside "none".
    """

    name: str
    after: str | None = None
    via: tuple[str, ...] = ()


class Conditional(NamedTuple):
    """One logit of a head: a stage given its parent and, where it is mediated, given the path.

    Attributes:
        stage: The stage.
        given: The mediator, `OTHER` for none of them, or None where the stage has no mediators.
    """

    stage: str
    given: str | None

    @property
    def name(self) -> str:
        """Name of the tower that emits it, ``stage`` or ``stage|mediator``."""
        return self.stage if self.given is None else f"{self.stage}|{self.given}"


@dataclass(frozen=True)
class Funnel:
    """Stages in order, each declared after the stages it needs.

    Attributes:
        stages: The stages; the first is the click, the last the conversion.

    Raises:
        FunnelError: The stages do not form one tree, or a mediator does not lie between.

    >>> Funnel.chain("click", "cart", "purchase").names
    ('click', 'cart', 'purchase')
    >>> esm2 = Funnel((Stage("click"), Stage("cart", "click"), Stage("buy", "click", ("cart",))))
    >>> [conditional.name for conditional in esm2.conditionals]
    ['click', 'cart', 'buy|cart', 'buy|other']
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not self.stages:
            raise FunnelError("`stages` must name at least one stage, found none")
        seen: dict[str, Stage] = {}
        mediates: dict[str, str] = {}
        for stage in self.stages:
            self._check(stage, seen, mediates)
            seen[stage.name] = stage

    def _check(self, stage: Stage, seen: dict[str, Stage], mediates: dict[str, str]) -> None:
        if not stage.name or stage.name == OTHER or "|" in stage.name:
            raise FunnelError(
                f"`name` of a stage must be a word without '|' other than {OTHER!r}, "
                f"found {stage.name!r}"
            )
        if stage.name in seen:
            raise FunnelError(f"`stages` must have different names, found {stage.name!r} twice")
        if (stage.after is None) != (not seen):
            raise FunnelError(
                f"exactly the first stage follows the impression: stage {stage.name!r} has "
                f"after={stage.after!r}; give every later stage the stage it needs"
            )
        if stage.after is not None and stage.after not in seen:
            raise FunnelError(
                f"stage {stage.name!r} comes after {stage.after!r}, which is not declared before "
                f"it: declare parents first (known so far: {', '.join(seen)})"
            )
        for mediator in stage.via:
            if mediator not in seen or seen[mediator].after != stage.after:
                raise FunnelError(
                    f"stage {stage.name!r} passes {mediator!r}, which must be a stage declared "
                    f"before it and directly after {stage.after!r} too, to lie between the two"
                )
            if seen[mediator].via:
                raise FunnelError(
                    f"stage {mediator!r} is mediated itself, so it cannot mediate {stage.name!r}"
                )
            if mediates.setdefault(mediator, stage.name) != stage.name:
                raise FunnelError(
                    f"stage {mediator!r} is a mediator of both {mediates[mediator]!r} and "
                    f"{stage.name!r}: one mediator serves one stage"
                )
        if len(set(stage.via)) != len(stage.via):
            raise FunnelError(f"`via` of stage {stage.name!r} names a mediator twice: {stage.via}")

    @classmethod
    def chain(cls, *names: str) -> "Funnel":
        """A funnel in which every stage needs the one before it."""
        return cls(
            tuple(
                Stage(name, names[index - 1] if index else None) for index, name in enumerate(names)
            )
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the stages, in order."""
        return tuple(stage.name for stage in self.stages)

    @property
    def first(self) -> str:
        """Name of the first stage, the click."""
        return self.stages[0].name

    @property
    def last(self) -> str:
        """Name of the last stage, the conversion."""
        return self.stages[-1].name

    @property
    def conditionals(self) -> tuple[Conditional, ...]:
        """One entry per logit, in the order in which a head emits them."""
        return tuple(
            Conditional(stage.name, way)
            for stage in self.stages
            for way in ((*stage.via, OTHER) if stage.via else (None,))
        )

    def parents(self) -> dict[str, str]:
        """The parent of every stage but the first."""
        return {stage.name: stage.after for stage in self.stages if stage.after is not None}

    def to_dict(self) -> list[dict[str, Any]]:
        """A JSON-ready form; `from_dict` reads it."""
        return [{"name": s.name, "after": s.after, "via": list(s.via)} for s in self.stages]

    @classmethod
    def from_dict(cls, content: list[Mapping[str, Any]]) -> "Funnel":
        """Read what `to_dict` wrote; `after` and `via` may be left out.

        Raises:
            FunnelError: A stage without a name.
        """
        for stage in content:
            if "name" not in stage:
                raise FunnelError(f"every stage must have the key 'name', found {dict(stage)}")
        return cls(
            tuple(Stage(s["name"], s.get("after"), tuple(s.get("via") or ())) for s in content)
        )
