"""Propensities and weights against closed forms."""

import numpy as np
import pytest

from mtl_seq.report.compute.overlap import overlap

ROWS = 5000
RNG = np.random.default_rng(0)
P = RNG.beta(1, 6, ROWS)
CLICK = (RNG.random(ROWS) < P).astype(np.float64)


def weights(propensities, click=CLICK):
    source = next(iter(propensities))
    return overlap(propensities, click, source).weights.set_index("propensity")


def test_every_row_is_in_one_bin():
    found = overlap({"m": P}, CLICK, "m")
    assert found.clicks.sum() == CLICK.sum()
    assert found.others.sum() == ROWS - CLICK.sum()
    np.testing.assert_allclose(
        np.diff(np.log(found.edges)), np.log(found.edges[1] / found.edges[0])
    )
    inside = (found.edges[10] <= P) & (found.edges[11] > P)
    assert found.clicks[10] == CLICK[inside].sum()


def test_the_figures_of_weights():
    found = weights({"m": P, "half": np.full(ROWS, 0.5)})
    weight = 1 / P[CLICK == 1]
    row = found.loc["m"]
    assert row["clicks"] == CLICK.sum()
    assert row["effective_size"] == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert row["effective_share"] == pytest.approx(row["effective_size"] / CLICK.sum())
    assert row["largest_share"] == pytest.approx(weight.max() / weight.sum())
    floor = np.sort(P)[int(0.01 * (ROWS - 1))]
    assert row["floor"] == floor
    assert row["clipped_share"] == (P[CLICK == 1] < floor).mean()
    assert found.loc["half", "effective_share"] == pytest.approx(1)
    assert found.loc["half", "largest_share"] == pytest.approx(1 / CLICK.sum())
    assert found.loc["half", "clipped_share"] == 0


def test_without_clicks_weights_are_undefined_and_say_why():
    found = overlap({"m": P}, np.zeros(ROWS), "m")
    row = found.weights.iloc[0]
    assert row["clicks"] == 0
    assert row[["effective_size", "effective_share", "largest_share", "clipped_share"]].isna().all()
    assert row["reason"] == "no clicks"
    assert found.others.sum() == ROWS


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_propensity_has_a_histogram(value):
    found = overlap({"m": np.full(ROWS, value)}, CLICK, "m")
    assert found.clicks.sum() + found.others.sum() == ROWS
    assert (np.diff(found.edges) > 0).all()
