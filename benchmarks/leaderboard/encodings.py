"""What linear terms and target encodings add, on a real log and in scenarios with known truth.

    python -m benchmarks.leaderboard.encodings RAW [--seeds 3]

RAW is the folder of KuaiRand-Pure's original files. ESMM on MMoE with the default settings of
`FunnelEstimator`. On KuaiRand the AUC of CTR and CTCVR over all impressions and of CVR on clicks;
in `dense` and `cvr_blind` (200,000 impressions) the AUC against the true CVR and the relative bias
over all impressions. Means and standard deviations over the seeds are kept in
benchmarks/results/encodings.jsonl.gz.
"""

import sys
from pathlib import Path

import pandas as pd

from benchmarks.lib.metrics import measure
from benchmarks.lib.results_store import rounded, write
from benchmarks.lib.study import draw, parser_of
from benchmarks.real_logs.kuairand_rows import read
from mtl_seq import BiasReport, FunnelEstimator, models, simulate
from mtl_seq.data import Encoding
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import CHECKPOINT_RULE

ENCODINGS = {
    "plain": Encoding(target_encoding=None),
    "wide": Encoding(wide=True, target_encoding=None),
    "target encodings": Encoding(),
    "both": Encoding(wide=True),
}
COLUMNS = [
    (f"{stage} {metric}", space)
    for metric in ("AUC", "PCOC")
    for stage, space in (("CTR", "all"), ("CVR", "clicks"), ("CTCVR", "all"))
]


def on_kuairand(raw: Path, conversion: str, seeds: int) -> pd.DataFrame:
    """Metrics by encoding and seed."""
    schema, train, test = read(raw, conversion)
    found = {}
    for name, encoding in ENCODINGS.items():
        for seed in range(seeds):
            estimator = FunnelEstimator(models.esmm, schema, encoding=encoding, epochs=2, seed=seed)
            scores = estimator.fit(train).predict(test)
            report = BiasReport.from_log({"m": scores}, test, schema=schema, replicates=2)
            row = report.table.loc["m", COLUMNS]
            found[name, seed] = row.set_axis([", ".join(column) for column in COLUMNS])
    return pd.DataFrame(found).T


def in_scenario(name: str, seeds: int) -> pd.DataFrame:
    """Metrics by model and encoding, and seed."""
    found = {}
    for seed in range(seeds):
        at = draw(simulate.scenario(name, seed=seed), 200_000, 50_000, seed)
        for label, encoding in ENCODINGS.items():
            for builder in (models.esmm, models.escm2_dr):
                estimator = FunnelEstimator(
                    builder, at.scenario.schema, encoding=encoding, seed=seed
                )
                metrics = measure(estimator.fit(at.log).predict(at.test), at.click, at.test_truth)
                found[f"{builder.__name__}, {label}", seed] = {
                    "AUC": metrics["AUC, all"],
                    "relative bias": metrics["relative bias, all"],
                }
    return pd.DataFrame(found).T


def main() -> int:
    parser = parser_of(__doc__, "encodings")
    parser.add_argument("raw", type=Path)
    given = parser.parse_args()
    tables = {
        **{
            f"kuairand, {conversion}": on_kuairand(given.raw, conversion, given.seeds)
            for conversion in ("long_view", "is_like")
        },
        **{name: in_scenario(name, given.seeds) for name in ("dense", "cvr_blind")},
    }
    cells = []
    for name, table in tables.items():
        groups = table.astype(float).groupby(level=0, sort=False)
        mean, deviation = groups.mean(), groups.std()
        shown = mean.map("{:.4f}".format) + deviation.map(" ±{:.4f}".format)
        print(f"\n{name}\n{shown.to_string()}")
        cells += [
            {
                "data": name,
                "encoding": encoding,
                "mean": mean.loc[encoding].to_dict(),
                "standard deviation": deviation.loc[encoding].to_dict(),
            }
            for encoding in mean.index
        ]
    metadata = {
        "command": f"python -m benchmarks.leaderboard.encodings RAW --seeds {given.seeds}",
        "versions": versions(),
        "checkpoint_rule": CHECKPOINT_RULE,
    }
    write(given.out, metadata, rounded(cells))
    return 0


if __name__ == "__main__":
    sys.exit(main())
