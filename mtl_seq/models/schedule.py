"""In what order the risks of a model train."""

from collections.abc import Sequence
from dataclasses import dataclass

from mtl_seq.errors import CompositionError

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule:
    """Turns that every batch goes through, an optimiser step each.

    In a turn only its own risks are minimised; what they do not reach stays as it is. Where towers
    share nothing, one turn therefore freezes what the other trains.

    Attributes:
        turns: Names of the risks of each turn; a risk may be in several.
        copies: Pairs of towers ``(source, target)``: at the start of every epoch the target takes
            over all of the source's weights.

    Raises:
        CompositionError: No turn, or one without a risk.
    """

    turns: Sequence[Sequence[str]]
    copies: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        if not self.turns or not all(self.turns):
            raise CompositionError(
                f"`turns` must hold at least one turn of at least one risk, found {self.turns}"
            )

    def check(self, risks: Sequence[str], towers: Sequence[str]) -> None:
        """Whether the risks of an objective and the towers of a network fit.

        Raises:
            CompositionError: A risk or tower that is not there, or a risk that never trains.
        """
        named = [name for turn in self.turns for name in turn]
        if set(named) != set(risks):
            raise CompositionError(
                f"`turns` must name each of the objective's risks {tuple(risks)}, found {named}"
            )
        for pair in self.copies:
            for tower in pair:
                if tower not in towers:
                    raise CompositionError(
                        f"`copies` must name towers of the network {tuple(towers)}, found {tower!r}"
                    )
