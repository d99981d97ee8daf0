"""Sums within cells, and the same under resamples, against plain loops over the rows."""

import numpy as np
import pytest

from mtl_seq.report.compute.bootstrap import Sampling, cell_sums, percentiles, ratio, resamples

ROWS, GROUPS, CELLS, REPLICATES = 300, 17, 4, 8
RNG = np.random.default_rng(0)
COLUMNS = RNG.random((ROWS, 3))
CELL = RNG.integers(CELLS, size=ROWS)
GROUP = RNG.permutation(np.arange(ROWS) % GROUPS)
SAMPLING = Sampling(GROUP, REPLICATES, seed=5)


def test_totals_are_sums_over_the_rows_of_a_cell():
    found = cell_sums(COLUMNS, CELL, CELLS, SAMPLING)
    for cell in range(CELLS):
        np.testing.assert_allclose(found.total[cell], COLUMNS[cell == CELL].sum(0), rtol=1e-12)
        assert found.users[cell] == len(np.unique(GROUP[cell == CELL]))


def test_resampled_sums_count_each_row_as_often_as_its_user_was_drawn():
    found = cell_sums(COLUMNS, CELL, CELLS, SAMPLING)
    for row, counts in enumerate(resamples(GROUPS, REPLICATES, 5)):
        weighted = COLUMNS * np.asarray(counts)[GROUP][:, None]
        expected = [weighted[cell == CELL].sum(0) for cell in range(CELLS)]
        np.testing.assert_allclose(found.drawn[row], expected, rtol=1e-12)


def test_rows_of_a_negative_cell_are_left_out_and_an_empty_cell_is_0():
    cell = np.where(CELL == 2, -1, CELL)
    found = cell_sums(COLUMNS, cell, CELLS + 1, SAMPLING)
    whole = cell_sums(COLUMNS, CELL, CELLS, SAMPLING)
    for empty in (2, 4):
        assert found.users[empty] == 0
        assert not found.total[empty].any()
        assert not found.drawn[:, empty].any()
    np.testing.assert_allclose(found.drawn[:, [0, 1, 3]], whole.drawn[:, [0, 1, 3]], rtol=1e-12)


def test_no_row_at_all_sums_to_0():
    found = cell_sums(COLUMNS, np.full(ROWS, -1), CELLS, SAMPLING)
    assert found.total.shape == (CELLS, 3)
    assert not found.total.any()
    assert not found.drawn.any()


def test_a_ratio_is_undefined_where_its_bottom_is_0():
    found = ratio(np.array([1.0, 2.0, 0.0]), np.array([4.0, 0.0, 0.0]))
    np.testing.assert_array_equal(found, [0.25, np.nan, np.nan])


def test_percentiles_hold_nine_tenths_and_ignore_what_is_undefined():
    drawn = RNG.random((50, 2, 3))
    drawn[:10, 0, 1] = np.nan
    drawn[:, 1, 2] = np.nan
    low, high = percentiles(drawn)
    np.testing.assert_allclose(low[0, 0], np.quantile(drawn[:, 0, 0], 0.05))
    np.testing.assert_allclose(high[0, 1], np.quantile(drawn[10:, 0, 1], 0.95))
    assert np.isnan([low[1, 2], high[1, 2]]).all()


@pytest.mark.parametrize("shape", [(0,), (0, 3)])
def test_nothing_drawn_is_no_interval(shape):
    for end in percentiles(np.zeros(shape)):
        assert end.shape == shape[1:]
        assert np.isnan(end).all()
