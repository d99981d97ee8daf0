"""Original files of real logs, converted by ``datasets/<name>/convert.py``."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["converted"]

DATASETS = Path(__file__).parents[2] / "datasets"


@contextmanager
def converted(name: str, raw: Path, *options: str) -> Iterator[Path]:
    """Convert a data set into a temporary folder.

    Args:
        name: Folder of the data set in `datasets/`.
        raw: Folder of its original files.
        options: Further arguments of its ``convert.py``.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(DATASETS / name / "convert.py"), str(raw), folder, *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        yield Path(folder)
