"""Reliability curves against pandas."""

import numpy as np
import pandas as pd

from mtl_seq.report.compute.metrics import EvaluationTarget, reliability

ROWS = 2000
RNG = np.random.default_rng(0)
P, Q = RNG.random(ROWS), RNG.random(ROWS)
SOME = np.arange(ROWS) % 2 == 0
ALL = np.ones(ROWS, dtype=bool)


def test_tenths_are_those_of_pandas():
    targets = [
        EvaluationTarget("pcvr", "all", ALL, Q),
        EvaluationTarget("pcvr", "clicks", SOME, Q),
    ]
    found = reliability({"m": {"pcvr": P}}, targets)
    assert len(found) == 20
    for space, rows in (("all", ALL), ("clicks", SOME)):
        own = found[found["space"] == space]
        frame = pd.DataFrame({"p": P[rows], "q": Q[rows]})
        cut = frame.groupby(pd.qcut(frame["p"], 10), observed=True)
        np.testing.assert_allclose(own["predicted"], cut["p"].mean(), rtol=1e-12)
        np.testing.assert_allclose(own["observed"], cut["q"].mean(), rtol=1e-12)
        assert own["rows"].sum() == rows.sum()


def test_the_truth_lies_on_the_line():
    found = reliability({"truth": {"pcvr": Q}}, [EvaluationTarget("pcvr", "all", ALL, Q)])
    np.testing.assert_allclose(found["predicted"], found["observed"], rtol=1e-12)


def test_ties_share_a_bin_and_a_space_without_rows_has_none():
    targets = [EvaluationTarget("pcvr", "all", ALL, Q), EvaluationTarget("pcvr", "clicks", ~ALL, Q)]
    found = reliability({"m": {"pcvr": np.full(ROWS, 0.3)}}, targets)
    assert found["rows"].tolist() == [ROWS]
    assert found["space"].tolist() == ["all"]
