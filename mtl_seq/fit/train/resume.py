"""Folder of an unfinished fit, from which it can be resumed."""

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
    """Folder of checkpoints from which an interrupted fit is resumed.

    Checkpoints are written after every epoch, when SIGTERM arrives, and every `steps` batches or
    `seconds` seconds. Each is written aside and then renamed, so that a stop at any moment leaves
    the older or the newer one. On a CPU a resumed fit ends with the weights that it would have had
    without the stop, to the bit.

    Attributes:
        folder: The folder; it is created. It holds a fit's codec, settings and last checkpoint.
        steps: Batches between checkpoints; None for no limit.
        seconds: Seconds between checkpoints; None for no limit.
        resume: Whether to resume the fit in the folder. Without it, a folder with an unfinished fit
            is an error, since that fit would be lost.

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
        """Create the folder, and remove files that a killed process was writing; on rank 0 only.

        Raises:
            ArtifactError: The folder holds an unfinished fit and `resume` is False.
        """
        if not is_rank_zero():
            return
        folder = Path(self.folder)
        if not self.resume and any((folder / name).exists() for name in (_PLAN, _STATE)):
            raise ArtifactError(
                f"{folder} holds an unfinished fit: resume it, `resume=True`, or name another "
                "folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        for name in (_PLAN, _CODEC, _STATE):
            stem, suffix = name.split(".")
            for torn in folder.glob(f".{stem}-*.{suffix}"):
                torn.unlink(missing_ok=True)

    def codec(self) -> Codec | None:
        """The codec of the fit to resume; None if none was written yet."""
        path = Path(self.folder) / _CODEC
        return Codec.from_json(path) if self.resume and path.exists() else None

    def agree(self, codec: Codec, plan: Mapping[str, Any]) -> None:
        """Write codec and settings of a new fit, or compare them with those of the fit to resume.

        Args:
            codec: Fitted to the training rows.
            plan: The settings, JSON values by name.

        Raises:
            ArtifactError: Another log or other settings than those of the fit to resume.
        """
        if not is_rank_zero():
            return
        folder = Path(self.folder)
        path = folder / _PLAN
        current = json.loads(json.dumps({**plan, "codec": _digest(codec)}))
        if path.exists():
            written = read_json(path, kind=_KIND, version=_VERSION)
            for name, value in current.items():
                if name not in written or written[name] != value:
                    raise ArtifactError(
                        f"{folder} holds a fit of another {name.replace('_', ' ')}: resume it with "
                        f"the same log and settings ({name!r} was {_short(written.get(name))}, is "
                        f"{_short(value)}), or start a new fit in another folder"
                    )
        else:
            codec.to_json(folder / _CODEC)
            write_json(path, current, kind=_KIND, version=_VERSION)


def _digest(codec: Codec) -> str:
    return hashlib.sha256(json.dumps(codec.to_dict()).encode()).hexdigest()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
