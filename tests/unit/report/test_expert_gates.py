"""Summary of the experts' shares, its warnings and its plot."""

import numpy as np
import pandas as pd
import pytest

from mtl_seq import FunnelEstimator, models, nn
from mtl_seq.errors import CompositionError, DataError
from mtl_seq.fit.expert_gates import expert_gates
from mtl_seq.report.expert_gates import gate_summary, gate_warnings, plot_gates
from mtl_seq.simulate import LogisticFunnel

TOWERS = ("click", "conversion")


def shares(*rows):
    """One row of shares per tower, the same in every impression."""
    return np.broadcast_to(np.array(rows), (10, len(rows), len(rows[0]))).copy()


def test_an_even_spread_has_entropy_one_and_one_expert_alone_zero():
    found = gate_summary(TOWERS, shares([0.25] * 4, [0.0, 1.0, 0.0, 0.0])).loc["all"]
    assert found.loc["click", "entropy"] == pytest.approx(1)
    assert found.loc["conversion", "entropy"] == pytest.approx(0)
    assert found["busiest"].tolist() == [0.25, 1.0]


def test_entropy_is_that_of_rows_and_not_of_their_mean():
    """Rows that each use one expert are specialised, however even the mean is."""
    share = np.stack([np.eye(2)[np.arange(10) % 2]] * 2, axis=1)
    found = gate_summary(TOWERS, share).loc["all"]
    assert found["expert 0"].tolist() == [0.5, 0.5]
    assert found["entropy"].tolist() == [0, 0]


def test_segments_hold_their_own_means():
    rng = np.random.default_rng(0)
    share = rng.dirichlet([1, 1, 1], size=(200, 2))
    segment = pd.Series(rng.choice(["a", "b"], 200), name="tier")
    found = gate_summary(TOWERS, share, segment)
    for value in ("a", "b"):
        rows = (segment == value).to_numpy()
        assert found.loc[(f"tier={value}", "click"), "rows"] == rows.sum()
        np.testing.assert_allclose(
            found.loc[
                (f"tier={value}", "conversion"), ["expert 0", "expert 1", "expert 2"]
            ].to_numpy(dtype=float),
            share[rows, 1].mean(0),
        )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (([0.5, 0.5, 0.0], [0.6, 0.395, 0.005]), ["expert 2 is dead"]),
        (([0.99, 0.005, 0.005], [0.2, 0.4, 0.4]), ["tower 'click' gives expert 0 99.0%"]),
        (([0.5, 0.3, 0.2], [0.2, 0.4, 0.4]), []),
        (([1.0], [1.0]), []),
    ],
)
def test_dead_experts_and_those_that_take_all_are_named(rows, said):
    found = gate_warnings(gate_summary(TOWERS, shares(*rows)))
    assert len(found) == len(said)
    for line, start in zip(found, said, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (np.ones((4, 3, 2)) / 2, "must be"),
        (np.ones((0, 2, 2)), "at least one row"),
        (np.ones((4, 2, 2)), "must add up to 1"),
    ],
)
def test_shares_that_are_none_are_refused(share, said):
    with pytest.raises(DataError, match=said):
        gate_summary(TOWERS, share)


def test_a_fitted_model_shows_what_its_network_says(tmp_path):
    simulator = LogisticFunnel(users=60, items=40, seed=0)
    log, _ = simulator.sample(2000, np.random.default_rng(0))
    fitted = FunnelEstimator(models.escm2_dr, simulator.schema, epochs=1).fit(log)
    found = expert_gates(fitted, log)
    assert found.towers == ("click", "conversion", "imputation")
    assert found.share.shape == (2000, 3, 4)
    features = fitted.codec_.encode(log, labels=False).features
    expected = fitted.model_.network.gates(features).detach().numpy()
    np.testing.assert_allclose(found.share, expected, atol=1e-6)
    figure = plot_gates(gate_summary(*found), tmp_path / "gates.png")
    assert len(figure.get_axes()) == 1
    assert (tmp_path / "gates.png").read_bytes()[:4] == b"\x89PNG"


def test_a_model_without_experts_says_so():
    simulator = LogisticFunnel(users=60, items=40, seed=0)
    log, _ = simulator.sample(1000, np.random.default_rng(0))
    fitted = FunnelEstimator(models.shared_bottom, simulator.schema, epochs=1).fit(log)
    assert not isinstance(fitted.model_.network.bottom, nn.MMoE)
    with pytest.raises(CompositionError, match="must mix experts"):
        expert_gates(fitted, log)
