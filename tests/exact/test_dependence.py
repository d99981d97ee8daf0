"""The moment for lambda on scenarios that are enumerated, not sampled."""

import numpy as np
import pytest
import torch

from mtl_seq.dependence import dependence_moment
from mtl_seq.errors import DataError
from mtl_seq.functional import dependent_cells, logit_click, potential_logit

CELLS, LEVELS = 12, 4


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def population(log_odds_ratio, seed=0):
    """Probabilities of x, level, click and conversion, each cell a row with its mass."""
    rng = np.random.default_rng(seed)
    q = rng.uniform(0.02, 0.6, CELLS)
    a = rng.normal(-1, 1, (CELLS, LEVELS))
    mass, share = rng.dirichlet(np.ones(CELLS)), rng.dirichlet(np.ones(LEVELS), CELLS)
    both = q[:, None] * sigmoid(a + log_odds_ratio)
    p = both + (1 - q)[:, None] * sigmoid(a)
    rate = (share * both).sum(1) / (share * p).sum(1)
    chances = np.stack([1 - p, p - both, both], axis=2) * (mass[:, None] * share)[:, :, None]
    x, level, outcome = (grid.ravel() for grid in np.indices(chances.shape))
    rows = {
        "p": p[x],
        "clicked_rate": rate[x],
        "level": level,
        "click": (outcome > 0).astype(float),
        "conversion": (outcome == 2).astype(float),
        "level_share": share[x],
        "weight": chances.ravel(),
    }
    return rows, q, p, rate, share, a


@pytest.mark.parametrize("log_odds_ratio", [-3.0, -1.0, 0.0, 1.5, 3.0])
def test_the_population_recovers_lambda_and_every_cvr(log_odds_ratio):
    rows, q, p, rate, share, _ = population(log_odds_ratio)
    found = dependence_moment(**rows)
    assert abs(found.log_odds_ratio - log_odds_ratio) <= 1e-6
    arrays = (torch.from_numpy(x) for x in (p, share, rate))
    b = dependent_cells(*arrays, found.log_odds_ratio).b
    np.testing.assert_allclose(torch.sigmoid(b).numpy(), q, atol=1e-6)


def test_the_test_of_no_dependence_is_zero_where_there_is_none():
    rows, *_ = population(0.0)
    assert abs(dependence_moment(**rows).t) <= 1e-9
    rows, *_ = population(1.0)
    assert dependence_moment(**rows).t > 0.1
    rows, *_ = population(-1.0)
    assert dependence_moment(**rows).t < -0.1


@pytest.mark.parametrize(("log_odds_ratio", "order"), [(0.0, None), (1.0, 2)])
def test_an_error_of_the_clicked_rate_moves_lambda_to_second_order_only(log_odds_ratio, order):
    rows, *_ = population(log_odds_ratio)
    rate = rows["clicked_rate"]
    direction = np.random.default_rng(1).normal(size=CELLS)[np.unique(rate, return_inverse=True)[1]]

    def off(size):
        logit = np.log(rate / (1 - rate)) + size * direction
        return (
            dependence_moment(**{**rows, "clicked_rate": sigmoid(logit)}).log_odds_ratio
            - log_odds_ratio
        )

    if order is None:  # without a dependence the rate is centred away altogether
        assert abs(off(0.1)) <= 1e-12
    else:
        assert 80 <= off(0.1) / off(0.01) <= 120  # an effect of first order would give 10


def test_an_intercept_error_of_each_level_is_recalibrated():
    rows, *_ = population(1.0)
    shift = np.array([0.4, -0.3, 0.2, 0.1])
    logit = np.log(rows["p"] / (1 - rows["p"])) + shift
    found = dependence_moment(**{**rows, "p": sigmoid(logit)})
    assert abs(found.log_odds_ratio - 1.0) <= 1e-6


def test_levels_that_move_no_click_do_not_identify_lambda():
    rows, *_ = population(1.0)
    flat = np.repeat(rows["p"][:, :1], LEVELS, axis=1)
    assert dependence_moment(**{**rows, "p": flat}).verdict == "not identified"


def test_the_standard_error_falls_with_the_root_of_the_rows():
    rows, *_ = population(1.0)
    few = dependence_moment(**{**rows, "weight": None, "group": None} | tile(rows, 2000))
    many = dependence_moment(**{**rows, "weight": None, "group": None} | tile(rows, 8000))
    assert few.standard_error / many.standard_error == pytest.approx(2.0, rel=0.02)


def with_standard_error(rows, size):
    """The population as copies of unequal weight, so that lambda has a standard error."""
    squares = (size / dependence_moment(**rows).standard_error) ** 2
    copies = int(1 / squares) + 2
    weight = np.full(copies, 1 / copies)
    # The squares of the weights add up to `squares`.
    step = np.sqrt((squares - 1 / copies) * (1 - 1 / copies))
    weight += step * np.where(np.arange(copies) == 0, 1, -1 / (copies - 1))
    several = {name: np.concatenate([x] * copies) for name, x in rows.items()}
    return several | {"weight": np.kron(weight, rows["weight"])}


@pytest.mark.parametrize(
    ("size", "verdict"),
    [(0.199, "identified"), (0.201, "weak"), (0.999, "weak"), (1.001, "not identified")],
)
def test_the_verdict_goes_by_the_standard_error(size, verdict):
    rows, *_ = population(1.0)
    found = dependence_moment(**with_standard_error(rows, size))
    assert found.standard_error == pytest.approx(size, rel=1e-6)
    assert found.log_odds_ratio == pytest.approx(1.0, abs=1e-6)
    assert found.verdict == verdict


def tile(rows, n):
    """About n rows in the proportions of the population."""
    counts = np.round(rows["weight"] * n).astype(int)
    return {name: np.repeat(x, counts, axis=0) for name, x in rows.items() if name != "weight"}


def test_repeated_rows_of_a_user_count_once():
    rows, *_ = population(1.0)
    once = tile(rows, 3000)
    n = len(once["level"])
    twice = {name: np.concatenate([x, x]) for name, x in once.items()}
    alone = dependence_moment(**once)
    clustered = dependence_moment(**twice, group=np.tile(np.arange(n), 2))
    assert clustered.standard_error == pytest.approx(alone.standard_error, rel=1e-6)
    assert clustered.t == pytest.approx(alone.t, rel=1e-6)


@pytest.mark.parametrize("log_odds_ratio", [-8.0, -1.0, 0.0, 1e-9, 2.0, 8.0])
def test_the_closed_form_inverts_the_mixture(log_odds_ratio):
    rng = np.random.default_rng(3)
    a, b = (torch.from_numpy(rng.normal(0, 4, 500)) for _ in range(2))
    q = torch.sigmoid(b)
    p = q * torch.sigmoid(a + log_odds_ratio) + (1 - q) * torch.sigmoid(a)
    kept = (p > 1e-9) & (p < 1 - 1e-9)
    np.testing.assert_allclose(logit_click(p, b, log_odds_ratio)[kept], a[kept], atol=1e-5)


def test_the_cvr_over_all_is_below_that_on_clicks_where_lambda_is_positive():
    _, _, p, rate, share, _ = population(1.0)
    p, share, rate = (torch.from_numpy(x) for x in (p, share, rate))
    over_all = [
        torch.sigmoid(potential_logit(p, share, rate, log_odds_ratio))
        for log_odds_ratio in (-1.0, 0.0, 1.0)
    ]
    assert bool((over_all[0] > over_all[1]).all())
    torch.testing.assert_close(over_all[1], rate)
    assert bool((over_all[2] < over_all[1]).all())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": np.ones((1, LEVELS))}, "`p` must hold probabilities"),
        ({"level_share": np.full(LEVELS, 0.5)}, "`level_share` must add up to 1"),
        ({"click": None}, "found none at"),
    ],
)
def test_bad_input_is_named(change, message):
    rows, *_ = population(0.0)
    for name, value in change.items():
        if value is None:
            value = np.where(rows["level"] == 2, 0.0, rows[name])
        elif name == "p":
            value = np.broadcast_to(value, rows["p"].shape)
        rows[name] = value
    with pytest.raises(DataError, match=message):
        dependence_moment(**rows)
