"""With any valid parameters a scenario draws a valid log, and its truth holds probabilities."""

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mtl_seq.data.validate.checks import check_columns, check_labels
from mtl_seq.simulate import (
    Actions,
    Context,
    Delay,
    Drift,
    Exposure,
    LogisticFunnel,
    ParameterError,
)


def numbers(low, high):
    return st.floats(low, high, allow_nan=False)


@st.composite
def simulators(draw):
    def maybe(strategy):
        return draw(st.none() | strategy)

    slots = draw(st.integers(1, 4))
    exposure = st.builds(
        Exposure,
        policy=st.just("uniform"),
        slots=st.just(slots),
        position_effect=numbers(-2, 2),
    )
    names = draw(st.sampled_from([("cart",), ("cart", "fav")]))
    actions = st.builds(
        Actions,
        names=st.just(names),
        rates=st.tuples(*[numbers(0.02, 0.45)] * len(names)),
        lift=st.tuples(*[numbers(-6, 6)] * len(names)),
        slope=numbers(0, 3),
        rho=numbers(-1, 1),
        required=st.booleans() if len(names) == 1 else st.just(False),
    )
    context = st.builds(
        Context,
        features=st.integers(2, 6),
        share=numbers(0, 1),
        cosine=st.none() | numbers(-1, 1),
        sines=st.integers(0, 5),
    )
    return {
        "users": draw(st.integers(30, 80)),
        "items": draw(st.integers(30, 80)),
        "rho": draw(numbers(-1, 1)),
        "click_slope": draw(numbers(0, 8)),
        "conversion_slope": draw(numbers(0, 8)),
        "ctr": draw(numbers(0.01, 0.9)),
        "cvr": draw(numbers(0.01, 0.9)),
        "cvr_over": draw(st.sampled_from(["clicks", "impressions"])),
        "curvature": draw(numbers(-2, 2)),
        "confounder": draw(numbers(0, 4)),
        "confounder_click": maybe(numbers(-4, 4)),
        "confounder_per": draw(st.sampled_from(["impression", "user"])),
        "mnar": draw(numbers(-4, 4)),
        "id_effects": draw(numbers(0.05, 1)),
        "interaction": draw(numbers(0, 1)),
        "user_zipf": draw(numbers(0, 1.5)),
        "item_zipf": draw(numbers(0, 1.5)),
        "days": draw(st.integers(1, 5)),
        "seed": draw(st.integers(0, 2**32)),
        "exposure": maybe(exposure),
        "context": maybe(context),
        "actions": maybe(actions),
        "drift": maybe(st.builds(Drift, numbers(-1, 1), numbers(-1, 1), numbers(-90, 90))),
        "delay": maybe(
            st.builds(Delay, mean=numbers(0.01, 50), slope=numbers(-2, 2), window=numbers(0.1, 30))
        ),
    }


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(simulators(), st.integers(1, 3000), st.integers(0, 2**32))
def test_draws_are_a_log_and_truths_are_probabilities(parameters, rows, seed):
    try:
        simulator = LogisticFunnel(**parameters)
    except ParameterError as error:
        # Random rates need not be within reach of random actions; then it must say so.
        assume("in this scenario" not in str(error))
        raise
    log, truth = simulator.sample(rows, np.random.default_rng(seed))
    schema = simulator.schema
    assert len(log) == rows
    check_columns(schema, log, labels=True)
    check_labels(schema, log)
    for name, values in truth.arrays().items():
        assert values.shape == (rows,)
        assert values.dtype == np.float64
        assert np.isfinite(values).all(), name
        if not name.startswith("hidden_"):
            assert values.min() >= 0, name
            assert values.max() <= 1 + 1e-12, name
    assert (truth.pctcvr <= np.minimum(truth.pctr, truth.pcvr) + 1e-12).all()
    click, converted = log["click"].to_numpy(), log["click"].to_numpy() * truth.potential
    if simulator.delay is None:
        np.testing.assert_array_equal(log["conversion"], converted)
    else:
        assert (log["conversion"].to_numpy() <= converted).all()
    for name in schema.funnel.names[1:-1]:
        assert (log[name].to_numpy() <= click).all()
    again, truth_again = simulator.sample(rows, np.random.default_rng(seed))
    assert again.equals(log)
    for name, values in truth.arrays().items():
        np.testing.assert_array_equal(truth_again.arrays()[name], values)
