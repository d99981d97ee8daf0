"""What changed between two reports, and nothing else."""

import numpy as np
import pandas as pd

from mtl_seq.report.compute.report_diff import changes_between

AT = {"relative bias, all": ("pcvr", "all", "relative_bias"), "AUC, all": ("pcvr", "all", "auc")}


def metrics(**models):
    rows = [
        (name, *AT[figure], value, low, high, None)
        for name, own in models.items()
        for figure, (value, low, high) in own.items()
    ]
    columns = ["model", "quantity", "space", "metric", "value", "low", "high", "reason"]
    return pd.DataFrame(rows, columns=columns)


def test_figures_of_shared_models_before_and_after():
    bias, auc = AT
    old = metrics(a={bias: (0.3, 0.2, 0.4), auc: (0.6, 0.5, 0.7)}, gone={bias: (0.1, 0, 0.2)})
    new = metrics(a={bias: (0.1, 0.0, 0.19), auc: (0.65, 0.55, 0.75)}, b={bias: (0.2, 0, 1)})
    found = changes_between(
        (old, ["a", "gone"], {"seed": 1, "rows": 5, "old": 1}),
        (new, ["a", "b"], {"seed": 2, "rows": 5, "new": "x"}),
        AT,
    )
    assert (found.added, found.removed) == (("b",), ("gone",))
    rows = found.figures.set_index("figure")
    assert rows.index.tolist() == [bias, auc]
    assert set(rows["model"]) == {"a"}
    np.testing.assert_allclose(rows["before"], [0.3, 0.6])
    np.testing.assert_allclose(rows["after"], [0.1, 0.65])
    np.testing.assert_allclose(rows["change"], [-0.2, 0.05])
    assert rows["apart"].tolist() == [True, False]
    assert found.metadata.to_numpy().tolist() == [
        ["seed", "1", "2"],
        ["new", "", "x"],
        ["old", "1", ""],
    ]


def test_without_an_interval_nothing_is_said_of_meeting():
    bias = next(iter(AT))
    same = metrics(a={bias: (0.3, np.nan, np.nan)})
    found = changes_between((same, ["a"], {}), (same, ["a"], {}), AT)
    assert found.figures["apart"].tolist() == [None]
    assert found.figures["change"].tolist() == [0]
    assert len(found.metadata) == 0


def test_a_figure_that_one_report_lacks_is_left_out():
    bias, auc = AT
    old = metrics(a={auc: (0.6, 0.5, 0.7)})
    new = metrics(a={auc: (0.6, 0.5, 0.7), bias: (0.1, 0, 0.2)})
    found = changes_between((old, ["a"], {}), (new, ["a"], {}), AT)
    assert found.figures["figure"].tolist() == [auc]
