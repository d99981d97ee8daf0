"""Field-level calibration error against a loop over the field's values."""

import numpy as np
import pytest
import torch

from mtl_seq.errors import DataError
from mtl_seq.functional import field_rce


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_loop_over_values(weighted):
    rng = np.random.default_rng(0)
    field = rng.integers(-3, 9, size=500) * 10**12
    prediction = rng.random(500)
    label = (rng.random(500) < 0.3).astype(np.float64)
    weight = rng.random(500) if weighted else np.ones(500)
    expected = 0.0
    for value in np.unique(field):
        own = field == value
        w, y, p = weight[own], label[own], prediction[own]
        expected += w.sum() * abs((w * (y - p)).sum()) / (w * (y + 0.01)).sum()
    found = field_rce(prediction, label, field, weight=weight if weighted else None)
    assert float(found) == pytest.approx(expected / weight.sum(), rel=1e-12)


def test_a_bias_that_cancels_over_the_field_is_seen():
    label = np.array([1.0, 1.0, 0.0, 0.0])
    prediction = np.full(4, 0.5)
    field = np.array([0, 0, 1, 1])
    found = field_rce(prediction, label, field, smoothing=0.5)
    assert float(found) == pytest.approx((2 * 1 / 3 + 2 * 1 / 1) / 4, abs=1e-15)
    assert float(field_rce(label, label, field)) == 0


def test_no_rows_give_nan_and_floats_are_no_ids():
    assert torch.isnan(field_rce(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)))
    with pytest.raises(DataError, match=r"`field` must hold 2 integer ids, found torch.float64"):
        field_rce(np.zeros(2), np.zeros(2), np.zeros(2))
