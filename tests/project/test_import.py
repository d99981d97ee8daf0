"""Importing the package is light."""

import subprocess
import sys

HEAVY = {"lightning", "pytorch_lightning", "typer", "jinja2.environment", "onnxruntime"}


def run(code: str) -> str:
    """Standard output of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()


def loaded_after(statement: str) -> set[str]:
    return set(run(f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))").splitlines())


def test_heavy_libraries_load_only_when_used():
    # jinja2 comes with torch; its templates must not be compiled for an import.
    base = loaded_after("import torch, pandas, torchmetrics")
    ours = loaded_after("import mtl_seq")
    for name in HEAVY - base:
        assert name not in ours, name
    for name in ("matplotlib", "matplotlib.pyplot", "pyarrow"):
        assert name in base or name not in ours, name


def test_import_costs_at_most_half_a_second_over_its_libraries():
    code = (
        "import time, torch, pandas, torchmetrics\n"
        # The time of the processor, which other processes of the machine do not lengthen.
        "start = time.process_time()\nimport mtl_seq\nprint(time.process_time() - start)"
    )
    # The first of three that does will do.
    assert any(float(run(code)) <= 0.5 for _ in range(3))


def test_import_leaves_global_state_alone():
    code = (
        "import random, numpy, torch\n"
        "before = (random.getstate(), numpy.random.get_state()[1].tolist(),"
        " torch.random.get_rng_state().tolist(), torch.get_default_dtype())\n"
        "import mtl_seq\n"
        "after = (random.getstate(), numpy.random.get_state()[1].tolist(),"
        " torch.random.get_rng_state().tolist(), torch.get_default_dtype())\n"
        "print(before == after)"
    )
    assert run(code) == "True"
