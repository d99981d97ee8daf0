"""Metrics fed with a network's records are those fed with its columns."""

import pytest
import torch
from torchmetrics import MetricCollection

from mtl_seq import Funnel, FunnelLabels
from mtl_seq import metrics as M
from mtl_seq.errors import DataError
from mtl_seq.nn import compose_conditionals

ROWS = 300
FUNNEL = Funnel.chain("click", "cart", "buy")


def records(seed=0, **more):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn((ROWS, 3), generator=g)
    click = (torch.rand(ROWS, generator=g) < 0.4).float()
    cart = click * (torch.rand(ROWS, generator=g) < 0.6)
    labels = FunnelLabels.of(
        click=click,
        cart=cart,
        buy=cart * (torch.rand(ROWS, generator=g) < 0.6),
        weight=torch.rand(ROWS, generator=g),
        group=torch.randint(30, (ROWS,), generator=g),
        potential=(torch.rand(ROWS, generator=g) < 0.3).float(),
        **more,
    )
    return compose_conditionals(FUNNEL, logits, {}), labels


def on_records(metric, quantity="pcvr", batch=None):
    prediction, labels = batch or records()
    wrapped = M.OnRecords(metric, quantity)
    wrapped.update(prediction, labels)
    return wrapped.compute()


PREDICTION, LABELS = records()
DOUBLE = {
    "pctr": PREDICTION.log_joint["click"].double().exp(),
    "pcvr": PREDICTION.log_pcvr.double().exp(),
    "pctcvr": PREDICTION.log_joint["buy"].double().exp(),
}


@pytest.mark.parametrize(
    ("quantity", "space", "target"),
    [
        ("pctr", "all", LABELS.click),
        ("pctcvr", "all", LABELS.conversion),
        ("pctcvr", "clicks", LABELS.conversion),
        ("pcvr", "clicks", LABELS.conversion),
        ("pcvr", "all", LABELS.potential),
        ("pcvr", "non-clicks", LABELS.potential),
    ],
)
def test_each_quantity_meets_its_label(quantity, space, target):
    for kind in (M.AUC, M.LogLoss, M.ECE):
        direct = kind(space=space)
        direct.update(DOUBLE[quantity], target, click=LABELS.click, weight=LABELS.weight)
        assert float(on_records(kind(space=space), quantity)) == float(direct.compute())


def test_columns_go_by_the_names_of_the_metrics_update():
    gauc = M.GAUC("clicks")
    gauc.update(
        DOUBLE["pcvr"],
        LABELS.conversion,
        LABELS.group,
        click=LABELS.click,
        weight=LABELS.weight,
    )
    assert float(on_records(M.GAUC("clicks"))) == float(gauc.compute())
    ctcvr = M.CTCVRAUC()
    ctcvr.update(DOUBLE["pctr"], DOUBLE["pcvr"], LABELS.conversion, weight=LABELS.weight)
    assert float(on_records(M.CTCVRAUC())) == float(ctcvr.compute())


@pytest.mark.parametrize("kind", [M.IPSAUC, M.SNIPSLogLoss])
def test_propensities_are_those_of_the_labels_or_else_pctr(kind):
    logged = torch.rand(ROWS, generator=torch.Generator().manual_seed(5)) * 0.5 + 0.5
    for propensity, batch in (
        (DOUBLE["pctr"], (PREDICTION, LABELS)),
        (logged, records(propensity=logged)),
    ):
        direct = kind()
        direct.update(
            DOUBLE["pcvr"], LABELS.conversion, LABELS.click, propensity, weight=LABELS.weight
        )
        assert float(on_records(kind(), batch=batch)) == float(direct.compute())


def test_a_log_without_potential_conversions_or_users_is_refused():
    bare = FunnelLabels(LABELS.stages)
    with pytest.raises(DataError, match=r"`labels.potential` must hold"):
        on_records(M.AUC(), batch=(PREDICTION, bare))
    with pytest.raises(DataError, match=r"`labels.group` must hold"):
        on_records(M.GAUC("clicks"), batch=(PREDICTION, bare))
    assert torch.isfinite(on_records(M.AUC("clicks"), batch=(PREDICTION, bare)))


def test_what_records_do_not_hold_is_refused_at_once():
    with pytest.raises(DataError, match=r"FieldRCE takes \['field'\]"):
        M.OnRecords(M.FieldRCE(3))
    with pytest.raises(DataError, match="`quantity` must be"):
        M.OnRecords(M.AUC(), "cvr")


def test_it_resets_forwards_and_joins_a_collection():
    metric = M.OnRecords(M.AUC("clicks"))
    one, two = records(seed=1), records(seed=2)
    assert float(metric(*one)) == float(on_records(M.AUC("clicks"), batch=one))
    assert float(metric(*two)) == float(on_records(M.AUC("clicks"), batch=two))
    both = M.OnRecords(M.AUC("clicks"))
    both.update(*one)
    both.update(*two)
    assert float(metric.compute()) == float(both.compute())
    metric.reset()
    metric.update(*two)
    assert float(metric.compute()) == float(on_records(M.AUC("clicks"), batch=two))
    collection = MetricCollection({"a": M.OnRecords(M.AUC("clicks")), "b": M.OnRecords(M.PCOC())})
    for batch in (one, two):
        collection.update(*batch)
    assert float(collection.compute()["a"]) == float(both.compute())


def test_no_gradient_is_kept():
    logits = torch.randn((ROWS, 3), requires_grad=True)
    found = on_records(
        M.LogLoss("clicks"), batch=(compose_conditionals(FUNNEL, logits, {}), LABELS)
    )
    assert not found.requires_grad


def test_its_reason_is_the_metrics():
    labels = FunnelLabels(torch.zeros(ROWS, 3))
    metric = M.OnRecords(M.AUC("clicks"))
    metric.update(PREDICTION, labels)
    assert torch.isnan(metric.compute())
    assert metric.reason == "no rows in space 'clicks'"
