"""A log larger than memory, written by several processes and read back in a stream.

    python examples/simulate_at_scale.py [--rows 5000000] [--workers 2] [--out simulated/]

One seed gives the same bytes on any number of workers, and an interrupted run goes on. The second
half never holds more than one batch: rates, and what naive CVR would be off by.
"""

import argparse
import sys
import time
from pathlib import Path

from mtl_seq import simulate


def main(arguments: list[str] | None = None) -> int:
    """Write shards, then read them in batches beside their truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=list(simulate.scenarios()), default="hidden")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--shard-rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("scenario"))
    given = parser.parse_args(arguments)
    simulator = simulate.scenario(given.scenario)
    start = time.perf_counter()
    simulate.write_shards(
        simulator, given.rows, given.out, seed=0, workers=given.workers, shard_rows=given.shard_rows
    )
    print(f"{given.rows:,} rows written in {time.perf_counter() - start:.1f} s")

    rows = clicks = conversions = 0
    true_cvr = 0.0
    for log, truth in simulate.read_shards(given.out, batch_rows=100_000):
        rows += len(log)
        clicks += int(log["click"].sum())
        conversions += int(log["conversion"].sum())
        true_cvr += float(truth.pcvr.sum())
    on_clicks, on_all = conversions / clicks, true_cvr / rows
    print(f"CTR {clicks / rows:.4f} over {rows:,} impressions")
    print(f"CVR {on_clicks:.4f} on clicks, {on_all:.4f} over all impressions: ", end="")
    print(f"the mean on clicks is off by {on_clicks / on_all - 1:+.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
