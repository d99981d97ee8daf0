"""Columns are checked before anything is computed from them."""

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq.errors import DataError
from mtl_seq.functional import as_tensor, float_rows, row_weights


def test_a_frame_that_may_not_be_written_to_is_read_all_the_same():
    column = pd.Series([1.0, 2.0, 3.0]).to_numpy()
    column.flags.writeable = False
    assert as_tensor(column).tolist() == [1.0, 2.0, 3.0]
    assert as_tensor(np.arange(6.0)[::-2]).tolist() == [5.0, 3.0, 1.0]


def test_a_tensor_leaves_its_graph_behind():
    found = float_rows(x=torch.ones(2, requires_grad=True))[0]
    assert not found.requires_grad
    assert found.dtype == torch.float64


def test_columns_of_other_lengths_are_named():
    with pytest.raises(DataError, match=r"`b` must have the shape \(3,\), found \(2,\)"):
        float_rows(a=torch.ones(3), b=torch.ones(2))
    with pytest.raises(DataError, match=r"`a` must have the shape \(N,\), found \(3, 1\)"):
        float_rows(a=torch.ones(3, 1))


def test_nan_is_counted_and_placed():
    column = np.array([0.0, np.nan, 1.0, np.nan])
    with pytest.raises(DataError, match=r"`a` must hold numbers, found NaN in 2 rows \(first"):
        float_rows(a=column)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_weights_are_finite_and_not_negative(bad):
    with pytest.raises(DataError, match=r"`weight` must be finite and at least 0, .* in 1 row"):
        row_weights(np.array([1.0, bad]), torch.zeros(2))


def test_weights_belong_to_the_rows():
    with pytest.raises(DataError, match=r"`weight` must have the shape \(2,\), found \(3,\)"):
        row_weights(np.ones(3), torch.zeros(2))
    assert row_weights(None, torch.zeros(2)).tolist() == [1.0, 1.0]
