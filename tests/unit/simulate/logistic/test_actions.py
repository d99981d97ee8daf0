"""Actions between click and conversion: rates, ways, and the mixture that pCVR is."""

import numpy as np
import pytest

from mtl_seq import Funnel
from mtl_seq.simulate import Actions, LogisticFunnel, ParameterError

ROWS = 100_000
BOTH = Actions(("cart", "fav"), (0.25, 0.1), (2.5, -1.0), slope=0.8, rho=0.3)


def logit(p):
    return np.log(p) - np.log1p(-p)


def simulator(**parameters):
    return LogisticFunnel(users=300, items=100, seed=5, **parameters)


def ways(truth, names):
    """By action, P(action | click, x) and P(conversion | action, x); last those of no action."""
    chance = [truth.further[name] / truth.pctr for name in names]
    converts = [truth.further[f"{n}_then_conversion"] / truth.further[n] for n in names]
    none = truth.pctr - sum(truth.further[name] for name in names)
    rest = truth.pctcvr - sum(truth.further[f"{name}_then_conversion"] for name in names)
    return [*chance, none / truth.pctr], [*converts, rest / none]


def test_pcvr_is_the_mixture_over_the_ways():
    _, truth = simulator(actions=BOTH).sample(2000, np.random.default_rng(0))
    chance, converts = ways(truth, BOTH.names)
    mixture = sum(c * q for c, q in zip(chance, converts, strict=True))
    np.testing.assert_allclose(mixture, truth.pcvr, rtol=1e-12)
    for lift, q in zip(BOTH.lift, converts, strict=False):
        np.testing.assert_allclose(logit(q) - logit(converts[-1]), lift, atol=1e-9)
    assert all(((c >= 0) & (c <= 1)).all() for c in (*chance, *converts))


@pytest.mark.parametrize("parameters", [{}, {"mnar": 1.5}, {"confounder": 1.0, "mnar": -1.0}])
def test_actions_have_their_rates_on_clicks(parameters):
    log, truth = simulator(actions=BOTH, **parameters).sample(ROWS, np.random.default_rng(0))
    for name, rate in zip(BOTH.names, BOTH.rates, strict=True):
        error = truth.further[name] - rate * truth.pctr
        assert abs(error.mean()) <= 4.5 * error.std() / np.sqrt(ROWS) + 1e-3 * rate * 0.2
        acted = log.loc[log["click"] == 1, name].mean()
        clicks = log["click"].sum()
        assert abs(acted - rate) <= 4.5 * np.sqrt(rate * (1 - rate) / clicks) + 1e-3 * rate


def test_stages_are_nested_and_exclusive():
    log, truth = simulator(actions=BOTH).sample(ROWS, np.random.default_rng(0))
    assert (log["cart"] + log["fav"] <= log["click"]).all()
    for name in BOTH.names:
        np.testing.assert_array_equal(log[name], log["click"] * truth.hidden[f"potential_{name}"])


def test_conversions_follow_the_way_taken():
    log, truth = simulator(actions=BOTH).sample(ROWS, np.random.default_rng(0))
    _, converts = ways(truth, BOTH.names)
    for name, q in zip(BOTH.names, converts, strict=False):
        rows = truth.hidden[f"potential_{name}"] == 1
        off = (truth.potential - q)[rows].sum() / np.sqrt((q * (1 - q))[rows].sum())
        assert abs(off) <= 4.5
    assert len(log) == ROWS


def test_a_required_action_makes_a_chain():
    only = simulator(actions=Actions(("cart",), (0.3,), (0.0,), required=True), cvr=0.1)
    assert only.schema.funnel == Funnel.chain("click", "cart", "conversion")
    log, truth = only.sample(ROWS, np.random.default_rng(0))
    assert (log["conversion"] <= log["cart"]).all()
    np.testing.assert_array_equal(truth.further["cart_then_conversion"], truth.pctcvr)


def test_the_score_of_an_action_has_the_stated_correlation():
    actions = Actions(("cart",), (0.3,), (1.0,), slope=1.0, rho=-0.6)
    _, truth = simulator(actions=actions, cvr=0.1).sample(ROWS, np.random.default_rng(0))
    cart, rest = logit(truth.further["cart"] / truth.pctr), ways(truth, ("cart",))[1][-1]
    assert np.corrcoef(cart, logit(rest))[0, 1] == pytest.approx(-0.6, abs=10 / np.sqrt(ROWS))
    assert cart.std() == pytest.approx(1, rel=0.02)


def test_an_unreachable_rate_names_the_range_that_actions_allow():
    with pytest.raises(
        ParameterError, match=r"`cvr` can be at most 0\.1 in this scenario, found 0\.3"
    ):
        simulator(actions=Actions(("cart",), (0.1,), (0.0,), required=True), cvr=0.3)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"names": "cart"}, "`actions.names` must be a list"),
        ({"names": ()}, "`actions.names` must be a list"),
        ({"names": ("click",)}, "words other than click"),
        ({"names": ("a b",)}, "found 'a b'"),
        ({"names": ("a", "a"), "rates": (0.1, 0.1), "lift": (1.0, 1.0)}, "must be different"),
        ({"rates": (0.0,)}, r"`actions.rates` must lie in \(0, 1\)"),
        ({"rates": 0.3}, "`actions.rates` must be a list of numbers"),
        ({"names": ("a", "b"), "rates": (0.6, 0.4), "lift": (1.0, 1.0)}, "below 1 together"),
        ({"rates": (0.1, 0.1)}, "one value for each of the 1 `names`"),
        ({"lift": (30.0,)}, r"`actions.lift` must lie in \[-20, 20\]"),
        ({"slope": -1.0}, r"`actions.slope` must lie in \[0, 20\]"),
        ({"rho": 1.5}, r"`actions.rho` must lie in \[-1, 1\]"),
        (
            {"names": ("a", "b"), "rates": (0.1, 0.1), "lift": (1.0, 1.0), "required": True},
            "name one",
        ),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Actions(**parameters)


def test_an_action_may_not_take_the_name_of_a_column():
    with pytest.raises(ParameterError, match="not be another column of the log, found 'price'"):
        simulator(actions=Actions(names=("price",)))
