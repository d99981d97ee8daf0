"""The scripts of `datasets/`, which is no package: loaded by path; and where real files may lie."""

import contextlib
import importlib.util
import io
import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATASETS = ROOT / "datasets"
SHARED = Path(os.environ.get("MTL_SEQ_DATA", ROOT.parent / "shared" / "data"))


def script(dataset, name):
    path = DATASETS / dataset / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{dataset.replace('-', '_')}_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def converted(dataset, raw, out, *options):
    """Run a converter: what it said, by the first words after the number."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert script(dataset, "convert").main([str(raw), str(out), *options]) == 0
    return said.getvalue()


def count(said, words):
    """The number in front of the line that holds some words."""
    (line,) = [line for line in said.splitlines() if words in line]
    return int(line.split()[0].replace(",", ""))
