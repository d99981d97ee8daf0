"""Where an unfinished fit is kept, so that it can go on after any stop."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_seq._files import read_json, write_json
from mtl_seq.data import Codec
from mtl_seq.errors import ArtifactError, DataError
from mtl_seq.fit.train.distributed import is_rank_zero

__all__ = ["Checkpoints"]

_KIND, _VERSION = "mtl_seq.unfinished", 1

_PLAN, _CODEC, _STATE = "plan.json", "codec.json", "state.pt"


@dataclass(frozen=True)
class Checkpoints:
    """A folder in which a fit leaves what it takes to go on from the last checkpoint.

    Checkpoints are written after every epoch, when SIGTERM arrives, and as often as `steps` and
    `seconds` say. Each is written aside and then renamed, so that a stop at any moment leaves the
    older one or the newer one. A fit that goes on does so to the bit on a CPU: it ends with the
    weights it would have had without the stop.

    Attributes:
        folder: The folder; it is created. It holds a fit's codec, settings and last checkpoint.
        steps: A checkpoint after so many batches; None for no such rule.
        seconds: A checkpoint after so many seconds; None for no such rule.
        resume: Whether to go on with the fit that is in the folder. Without, such a folder is an
            error, since its fit would be lost.

    Raises:
        DataError: A number of steps or seconds that is not positive.
    """

    folder: str | Path
    steps: int | None = None
    seconds: float | None = 600.0
    resume: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise DataError(f"`{name}` must be above 0, or None, found {value}")

    @property
    def state(self) -> Path:
        """The file of the last checkpoint."""
        return Path(self.folder) / _STATE

    def begin(self) -> None:
        """Make the folder; sweep away what a killed process was writing.

        Of several processes the first one does so.

        Raises:
            ArtifactError: The folder holds an unfinished fit and `resume` is False.
        """
        if not is_rank_zero():
            return
        folder = Path(self.folder)
        if not self.resume and any((folder / name).exists() for name in (_PLAN, _STATE)):
            raise ArtifactError(
                f"{folder} holds an unfinished fit: go on with it, `resume=True`, or name another "
                "folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        for name in (_PLAN, _CODEC, _STATE):
            stem, suffix = name.split(".")
            for torn in folder.glob(f".{stem}-*.{suffix}"):
                torn.unlink(missing_ok=True)

    def codec(self) -> Codec | None:
        """The codec of the fit to go on with; None where it had not come so far."""
        path = Path(self.folder) / _CODEC
        return Codec.from_json(path) if self.resume and path.exists() else None

    def agree(self, codec: Codec, plan: Mapping[str, Any]) -> None:
        """Note what the fit is made of, or see that it is what the unfinished one was made of.

        Args:
            codec: Fitted to the training rows.
            plan: JSON values by name.

        Raises:
            ArtifactError: The unfinished fit was made of something else.
        """
        if not is_rank_zero():
            return
        folder = Path(self.folder)
        path = folder / _PLAN
        told = json.loads(json.dumps({**plan, "codec": _digest(codec)}))
        if path.exists():
            found = read_json(path, kind=_KIND, version=_VERSION)
            for name, value in told.items():
                if name not in found or found[name] != value:
                    raise ArtifactError(
                        f"{folder} holds a fit of another {name.replace('_', ' ')}: go on with the "
                        f"log and the settings it was begun with ({name!r} was "
                        f"{_short(found.get(name))}, is {_short(value)}), or begin anew elsewhere"
                    )
        else:
            codec.to_json(folder / _CODEC)
            write_json(path, told, kind=_KIND, version=_VERSION)


def _digest(codec: Codec) -> str:
    return hashlib.sha256(json.dumps(codec.to_dict()).encode()).hexdigest()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
