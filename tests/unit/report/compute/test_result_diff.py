"""What changed between two reports, and nothing else."""

from types import SimpleNamespace

import numpy as np

from mtl_seq.report.compute.metrics import METRIC_COLUMNS
from mtl_seq.report.compute.result import changes_between
from mtl_seq.report.compute.serialise import make_frame

BIAS, AUC = ("pcvr", "all", "relative_bias"), ("pcvr", "all", "auc")
COLUMNS = {("relative bias", "all"): BIAS, ("AUC", "all"): AUC}


def report(metadata=None, **models):
    """What is compared of a report; a model gives value, low and high by metric."""
    rows = [
        (name, *key, value, low, high, None)
        for name, metrics in models.items()
        for key, (value, low, high) in metrics.items()
    ]
    return SimpleNamespace(
        metrics=make_frame(rows, METRIC_COLUMNS),
        models=tuple(models),
        metadata=metadata or {},
        columns=COLUMNS,
    )


def test_metrics_of_shared_models_before_and_after():
    older = report(
        {"seed": 1, "rows": 5, "old": 1},
        a={BIAS: (0.3, 0.2, 0.4), AUC: (0.6, 0.5, 0.7)},
        gone={BIAS: (0.1, 0, 0.2)},
    )
    newer = report(
        {"seed": 2, "rows": 5, "new": "x"},
        a={BIAS: (0.1, 0.0, 0.19), AUC: (0.65, 0.55, 0.75)},
        b={BIAS: (0.2, 0, 1)},
    )
    changes = changes_between(older, newer)
    assert (changes.added, changes.removed) == (("b",), ("gone",))
    rows = changes.metrics
    assert rows["metric"].tolist() == ["relative_bias", "auc"]
    assert set(rows["model"]) == {"a"}
    np.testing.assert_allclose(rows["before"], [0.3, 0.6])
    np.testing.assert_allclose(rows["after"], [0.1, 0.65])
    np.testing.assert_allclose(rows["change"], [-0.2, 0.05])
    assert rows["disjoint"].tolist() == [True, False]
    assert changes.metadata.to_numpy().tolist() == [
        ["seed", "1", "2"],
        ["new", "", "x"],
        ["old", "1", ""],
    ]


def test_without_an_interval_overlap_is_undefined():
    same = report(a={BIAS: (0.3, np.nan, np.nan)})
    changes = changes_between(same, same)
    assert changes.metrics["disjoint"].tolist() == [None]
    assert changes.metrics["change"].tolist() == [0]
    assert len(changes.metadata) == 0


def test_a_metric_that_one_report_lacks_is_left_out():
    older = report(a={AUC: (0.6, 0.5, 0.7)})
    newer = report(a={AUC: (0.6, 0.5, 0.7), BIAS: (0.1, 0, 0.2)})
    assert changes_between(older, newer).metrics["metric"].tolist() == ["auc"]
