"""What holds for every metric: equal to the pure function, however the rows arrive."""

import pickle

import numpy as np
import pytest
import torch
from torchmetrics import MetricCollection
from unit.metrics.batches import CASES, ROWS, columns, fed, numbers, part

from mtl_seq import metrics as M
from mtl_seq.metrics.exact_or_binned import KeptRows

COLUMNS = columns()


def found(name, *batches, **attributes):
    case = CASES[name]
    metric = case.make()
    for attribute, value in attributes.items():
        setattr(metric, attribute, value)
    return fed(metric, case.columns, *batches)


def close(one, other, rtol=1e-11):
    torch.testing.assert_close(numbers(one), numbers(other), rtol=rtol, atol=1e-12, equal_nan=True)


def test_every_metric_has_a_case():
    kinds = {type(case.make()).__name__ for case in CASES.values()}
    assert kinds | {"BiasCurve", "ClickedLogLoss", "MisrankedShare", "OnRecords"} == set(M.__all__)


@pytest.mark.parametrize("name", CASES)
def test_it_is_its_pure_function_on_all_rows_at_once(name):
    metric = found(name, COLUMNS)
    value = metric.compute()
    close(value, CASES[name].twin(COLUMNS))
    assert torch.isfinite(numbers(value)).all()
    assert metric.reason is None
    assert numbers(value).dtype == torch.float64


@pytest.mark.parametrize("name", CASES)
def test_batches_of_any_size_in_any_order_give_the_same(name):
    expected = found(name, COLUMNS).compute()
    order = torch.from_numpy(np.random.default_rng(1).permutation(ROWS))
    for cuts in ([1] * 20, [0, 7, 300, 0], [599]):
        sizes = torch.tensor([*cuts, ROWS - sum(cuts)])
        batches = [part(COLUMNS, rows) for rows in torch.split(order, sizes.tolist())]
        close(found(name, *batches).compute(), expected)


@pytest.mark.parametrize("name", CASES)
def test_float32_and_arrays_give_the_same_result(name):
    narrow = {
        n: column.float().double() if column.is_floating_point() else column
        for n, column in COLUMNS.items()
    }
    batch = {n: c.float() if c.is_floating_point() else c for n, c in narrow.items()}
    arrays = {n: c.numpy() for n, c in batch.items()}
    expected = CASES[name].twin(narrow)
    close(found(name, batch).compute(), expected, rtol=1e-6 if name == "CTCVRAUC" else 1e-9)
    close(found(name, arrays).compute(), found(name, batch).compute(), rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_reset_forgets_and_a_pickle_remembers(name):
    first, second = part(COLUMNS, slice(0, 250)), part(COLUMNS, slice(250, None))
    metric = found(name, first)
    again = pickle.loads(pickle.dumps(metric))
    fed(again, CASES[name].columns, second)
    close(again.compute(), found(name, COLUMNS).compute())
    metric.reset()
    fed(metric, CASES[name].columns, second)
    close(metric.compute(), found(name, second).compute(), rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_forward_gives_the_batch_and_keeps_the_whole(name):
    first, second = part(COLUMNS, slice(0, 250)), part(COLUMNS, slice(250, None))
    case = CASES[name]
    metric = case.make()
    for batch in (first, second):
        value = metric(**{n: batch[n] for n in case.columns})
        close(value, found(name, batch).compute())
    close(metric.compute(), found(name, COLUMNS).compute())


@pytest.mark.parametrize("name", CASES)
def test_rows_without_weight_have_no_influence(name):
    weight = COLUMNS["weight"]
    assert (weight == 0).any()
    expected = found(name, part(COLUMNS, weight > 0)).compute()
    close(found(name, COLUMNS).compute(), expected, rtol=0)
    spoilt = dict(COLUMNS)
    for n in ("prediction", "target", "conversion", "imputation", "pcvr"):
        spoilt[n] = torch.where(weight > 0, spoilt[n], torch.nan)
    if name != "CTCVRAUC":
        close(found(name, spoilt).compute(), expected, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_without_rows_a_metric_is_nan_with_a_reason(name):
    metric = found(name, part(COLUMNS, slice(0, 0)))
    value = numbers(metric.compute())
    assert torch.isnan(value).all()  # or there are no bins at all
    assert metric.reason is not None
    assert "no" in metric.reason


BINNED = [name for name, case in CASES.items() if isinstance(case.make(), KeptRows)]


@pytest.mark.parametrize("name", BINNED)
def test_beyond_the_limit_bins_of_the_logit_take_over(name):
    """Predictions in hundredths are bins of their own: what reads bins is exact then."""
    exact = found(name, COLUMNS).compute()
    for batches in ([COLUMNS], [part(COLUMNS, slice(0, 100)), part(COLUMNS, slice(100, None))]):
        metric = found(name, *batches, exact_rows=100)
        assert not len(metric.kept)
        if name == "CTCVRAUC":  # products are not
            assert float(metric.compute()) == pytest.approx(float(exact), abs=1e-4)
        else:
            close(metric.compute(), exact, rtol=1e-9)


def test_all_metrics_that_bin_are_held_to_it():
    assert len(BINNED) == 6 * 3 + 4


def test_a_collection_shares_states_within_a_space_and_never_between_two():
    """The first batch is of clicks alone, on which all spaces agree."""
    names = [n for n in CASES if n.split(" on ")[0] in ("AUC", "KS", "ECE", "PCOC", "LogLoss")]
    collection = MetricCollection({name: CASES[name].make() for name in names})
    clicked = COLUMNS["click"] > 0
    for rows in (clicked, ~clicked):
        batch = part(COLUMNS, rows)
        collection.update(**{n: batch[n] for n in ("prediction", "target", "click", "weight")})
    value = collection.compute()
    for name in names:
        close(value[name], CASES[name].twin(COLUMNS))
    groups = [set(group) for group in collection.compute_groups.values()]
    assert {"AUC on all", "KS on all", "ECE on all"} in groups
    assert {"PCOC on clicks"} in groups
    assert len(groups) == 9


def test_one_collection_takes_all_columns_by_name():
    collection = MetricCollection({name: case.make() for name, case in CASES.items()})
    for rows in (slice(0, 250), slice(250, None)):
        collection.update(**part(COLUMNS, rows))
    value = collection.compute()
    for name, case in CASES.items():
        close(value[name], case.twin(COLUMNS))
        assert collection[name].reason is None


def test_metrics_that_add_up_something_else_never_share_a_state():
    """pCTR of 1 makes the product the prediction, and all rows clicks, on the first batch alone."""
    collection = MetricCollection(
        {"ctcvr": M.CTCVRAUC(), "cvr": M.AUC(), "clicks": M.AUC("clicks"), "ips": M.IPSAUC()}
    )
    for pctr in (1.0, COLUMNS["pctr"]):
        batch = dict(COLUMNS, pctr=torch.ones(ROWS, dtype=torch.float64) * pctr)
        batch |= {"prediction": batch["pcvr"], "target": batch["conversion"]}
        first = isinstance(pctr, float)
        batch["click"] = torch.ones_like(batch["click"]) if first else batch["click"]
        batch["propensity"] = torch.ones_like(batch["click"]) if first else batch["propensity"]
        collection.update(**batch)
    assert len(collection.compute_groups) == 4
