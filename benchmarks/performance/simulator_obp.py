"""Open Bandit Pipeline's generator, in a separate environment and alternating with ours."""

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.performance.simulator_tools import BLOCK, draw
from benchmarks.performance.timing import spread, timed
from mtl_seq import simulate

__all__ = ["obp"]

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
# obp 0.5.5 pins these, and says Python below 3.10 though it runs on 3.11.
OBP = ("--no-deps", "--ignore-requires-python", "obp==0.5.5")
OBP_NEEDS = (
    "numpy==1.23.5",
    "pandas==1.5.2",
    "scikit-learn==1.1.3",
    "scipy==1.9.3",
    "matplotlib<3.9",
    "seaborn<0.12",
    "pyyaml",
    "tqdm",
    "torch",
)
OBP_ROUNDS = """
import sys, time
from obp.dataset import SyntheticBanditDataset, logistic_reward_function
made = SyntheticBanditDataset(
    n_actions=10, dim_context=5, reward_function=logistic_reward_function, random_state=0
)
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    made.obtain_batch_bandit_feedback(n_rounds=int(line))
    print(time.perf_counter() - start, flush=True)
"""


def obp(given: argparse.Namespace) -> dict[str, Any]:
    """Rows per second of both generators."""
    with tempfile.TemporaryDirectory(prefix="obp-") as place:
        python = Path(place) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        for wanted in ((*OBP_NEEDS, "-c", str(CONSTRAINTS)), OBP):
            done = subprocess.run(
                [str(python), "-m", "pip", "install", "-q", *wanted], capture_output=True, text=True
            )
            if done.returncode:
                return {"not installed": done.stderr.strip().splitlines()[-1]}
        scenario, theirs, ours = simulate.scenario("dense"), [], []
        running = subprocess.Popen(
            [str(python), "-c", OBP_ROUNDS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert running.stdin is not None
        assert running.stdout is not None
        if running.stdout.readline().strip() != "ready":
            return {"not installed": "it cannot be imported"}
        for round_ in range(given.rounds + 1):
            print(BLOCK, file=running.stdin, flush=True)
            theirs.append(BLOCK / float(running.stdout.readline()))
            ours.append(BLOCK / timed(partial(draw, scenario, 1, round_))[1])
        running.stdin.close()
        running.wait()
    ratios = [one / other for one, other in zip(ours[1:], theirs[1:], strict=True)]
    return {
        "version": OBP[-1],
        "rows a round": BLOCK,
        "its rows/s": spread(theirs[1:]),
        "rows/s of `dense` in one process": spread(ours[1:]),
        "ratio": spread(ratios),
    }
