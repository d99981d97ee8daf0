"""What linear terms and target encodings add, on a real log and in scenarios with known truth.

    python benchmarks/leaderboard/encodings.py RAW [--seeds 0 1 2]

RAW is the folder of KuaiRand-Pure's original files. ESMM on MMoE with the default settings of
`FunnelEstimator`. On KuaiRand the AUC of CTR and CTCVR over all impressions and of CVR on clicks;
in `dense` and `cvr_blind` (200,000 impressions) the AUC against the true CVR and the relative bias
over all impressions. The result is kept in benchmarks/results/encodings.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mtl_seq import BiasReport, FunnelEstimator, Schema, models, simulate
from mtl_seq.data import Encoding, read_frame
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.functional import auc

ROOT = Path(__file__).parents[1]
CONVERT = ROOT / "datasets" / "kuairand-pure" / "convert.py"
RESULT = Path(__file__).parent / "results" / "encodings.json"
ENCODINGS = {
    "plain": Encoding(target_encoding=None),
    "wide": Encoding(wide=True, target_encoding=None),
    "target encodings": Encoding(),
    "both": Encoding(wide=True),
}
COLUMNS = [
    ("CTR AUC", "all"),
    ("CVR AUC", "clicks"),
    ("CTCVR AUC", "all"),
    ("CTR PCOC", "all"),
    ("CVR PCOC", "clicks"),
    ("CTCVR PCOC", "all"),
]


def on_kuairand(raw: Path, conversion: str, seeds: list[int]) -> pd.DataFrame:
    """Figures by encoding and seed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        command = [sys.executable, str(CONVERT), str(raw), folder, "--conversion", conversion]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        schema = Schema.from_json(out / "schema.json")
        train, test = read_frame(out / "train.parquet"), read_frame(out / "test.parquet")
    found = {}
    for name, encoding in ENCODINGS.items():
        for seed in seeds:
            estimator = FunnelEstimator(models.esmm, schema, encoding=encoding, epochs=2, seed=seed)
            scores = estimator.fit(train).predict(test)
            report = BiasReport.from_log({"m": scores}, test, schema=schema, replicates=2)
            row = report.table.loc["m", COLUMNS]
            found[name, seed] = row.set_axis([", ".join(column) for column in COLUMNS])
    return pd.DataFrame(found).T


def in_scenario(name: str, seeds: list[int]) -> pd.DataFrame:
    """Figures by encoding and seed."""
    found = {}
    for seed in seeds:
        scenario = simulate.scenario(name, seed=seed)
        log, _ = scenario.sample(200_000, np.random.default_rng([seed, 1]))
        test, truth = scenario.sample(50_000, np.random.default_rng([seed, 2]))
        target = torch.from_numpy(truth.pcvr.copy())
        for label, encoding in ENCODINGS.items():
            for builder in (models.esmm, models.escm2_dr):
                estimator = FunnelEstimator(builder, scenario.schema, encoding=encoding, seed=seed)
                pcvr = estimator.fit(log).predict(test)["pcvr"].to_numpy()
                found[f"{builder.__name__}, {label}", seed] = {
                    "AUC": float(auc(torch.from_numpy(pcvr.copy()), target)),
                    "relative bias": float(pcvr.mean() / truth.pcvr.mean() - 1),
                }
    return pd.DataFrame(found).T


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    tables = {
        **{
            f"kuairand, {c}": on_kuairand(given.raw, c, given.seeds)
            for c in ("long_view", "is_like")
        },
        **{name: in_scenario(name, given.seeds) for name in ("dense", "cvr_blind")},
    }
    result = {
        "command": "python benchmarks/leaderboard/encodings.py RAW --seeds "
        + " ".join(map(str, given.seeds)),
        "versions": versions(),
        "checkpoint_rule": CHECKPOINT_RULE,
    }
    for name, table in tables.items():
        groups = table.astype(float).groupby(level=0, sort=False)
        mean, spread = groups.mean(), groups.std()
        print(f"\n{name}; mean ± standard deviation over seeds {given.seeds}")
        print((mean.map("{:.4f}".format) + spread.map(" ±{:.4f}".format)).to_string())
        result[name] = {
            "mean": mean.round(5).to_dict("index"),
            "standard deviation": spread.round(5).to_dict("index"),
        }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
