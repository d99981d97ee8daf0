"""ESMM and its control on KuaiRand-Pure, with target encodings and on raw ids.

    python benchmarks/kuairand.py RAW [--seeds 0 1 2]

RAW is the folder of the original files. Train to 2022-04-28, test 04-29 and 30, the default
settings of `FunnelEstimator`, MMoE experts. Printed beside what other systems reached on the same
rows, and the floors a well-made package should pass. The result is kept in
benchmarks/results/kuairand.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from mtl_seq import BiasReport, FunnelEstimator, Schema, models
from mtl_seq.comparison import versions
from mtl_seq.data import Encoding, read_frame
from mtl_seq.fit import CHECKPOINT_RULE

ROOT = Path(__file__).parents[1]
CONVERT = ROOT / "datasets" / "kuairand-pure" / "convert.py"
RESULT = Path(__file__).parent / "results" / "kuairand.json"
MODELS = {
    "esmm": (models.esmm, Encoding()),
    "multitask (control)": (models.multitask, Encoding()),
    "esmm, raw ids": (models.esmm, Encoding(target_encoding=None)),
    "multitask (control), raw ids": (models.multitask, Encoding(target_encoding=None)),
}
SHOWN = [
    "CTR AUC, all",
    "CTR PCOC, all",
    "CVR AUC, clicks",
    "CVR PCOC, clicks",
    "CTCVR AUC, all",
    "CTCVR PCOC, all",
]
AUCS = ["CTR AUC, all", "CVR AUC, clicks", "CTCVR AUC, all"]
# AUC of others on the same split, mean of 3 seeds: CTR, CVR on clicks, CTCVR; their CTR was
# measured beside long_view.
OTHERS = {
    "long_view": {
        "logistic regression, one-hot ids": (0.7121, 0.6307, 0.7111),
        "LightGBM, target encodings": (0.7188, 0.6332, 0.7194),
        "torch-rechub ESMM": (0.7185, 0.6114, 0.7164),
        "deepctr-torch ESMM": (0.7181, 0.6100, 0.7179),
        "floor": (0.717, 0.629, 0.715),
    },
    "is_like": {
        "logistic regression, one-hot ids": (None, 0.7181, 0.7375),
        "LightGBM, target encodings": (None, 0.7085, 0.7342),
        "torch-rechub ESMM": (None, 0.6709, 0.6695),
        "deepctr-torch ESMM": (None, 0.6826, 0.7264),
        "floor": (0.717, 0.716, 0.735),
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    result = {
        "command": f"python benchmarks/kuairand.py RAW --seeds {' '.join(map(str, given.seeds))}",
        "versions": versions(),
        "checkpoint_rule": CHECKPOINT_RULE,
        "spaces": "CTR and CTCVR on all impressions, CVR on clicks",
    }
    for conversion, others in OTHERS.items():
        every = pd.concat(
            {seed: measure(given.raw, conversion, seed) for seed in given.seeds}, names=["seed"]
        )
        mean = every.groupby("model", sort=False).mean()
        spread = every.groupby("model", sort=False).std()
        shown = mean.map("{:.4f}".format) + spread.map(" ±{:.4f}".format)
        rows = [["" if x is None else f"{x:.4f}" for x in figures] for figures in others.values()]
        print(f"\nconversion = {conversion}; mean and spread over seeds {given.seeds}")
        peers = pd.DataFrame(rows, index=list(others), columns=AUCS)
        print(pd.concat([shown, peers]).fillna("").to_string())
        for column, floor in zip(AUCS, others["floor"], strict=True):
            for name in ("esmm", "esmm, raw ids"):
                found = mean.loc[name, column]
                verdict = "reached" if found >= floor else "missed"
                print(f"{name}: {column} {found:.4f}, floor {floor}: {verdict}")
        result[conversion] = [
            {"seed": int(seed), "model": model, **values}
            for (seed, model), values in np.round(every, 5).to_dict("index").items()
        ]
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(raw: Path, conversion: str, seed: int) -> pd.DataFrame:
    """Fit every model with one seed and measure it on the later days."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        command = [sys.executable, str(CONVERT), str(raw), str(out), "--conversion", conversion]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        schema = Schema.from_json(out / "schema.json")
        train, test = read_frame(out / "train.parquet"), read_frame(out / "test.parquet")
    scores = {
        name: FunnelEstimator(builder, schema, encoding=encoding, seed=seed, progress=True)
        .fit(train)
        .predict(test)
        for name, (builder, encoding) in MODELS.items()
    }
    report = BiasReport.from_log(scores, test, schema=schema, replicates=2, seed=seed)
    return report.table[SHOWN]


if __name__ == "__main__":
    sys.exit(main())
