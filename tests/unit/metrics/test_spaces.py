"""Spaces, what undefined metrics say, and input that is refused."""

import pytest
import torch

from mtl_seq import metrics as M
from mtl_seq.errors import DataError

HALF = torch.full((4,), 0.5)
CLICK = torch.tensor([1, 1, 0, 0])
LABEL = torch.tensor([1, 0, 1, 0])
ONE_CLASS = [M.AUC, M.KS, M.NormalisedEntropy, M.Recalibration]
NEEDS_POSITIVE = [M.PCOC, M.RelativeBias]
ANY_LABELS = [M.ECE, M.NullECE, M.LogLoss, M.MeanBias, M.RMSE]
PLAIN = [*ONE_CLASS, *NEEDS_POSITIVE, *ANY_LABELS, M.ReliabilityCurve]


def after(metric, *columns, **more):
    metric.update(*columns, **more)
    value = metric.compute()
    value = value[0] if isinstance(value, tuple) else value
    return value, metric.reason


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("space", ["clicks", "non-clicks"])
def test_rows_outside_the_space_may_hold_anything(kind, space):
    inside = (CLICK == 1) == (space == "clicks")
    prediction = torch.tensor([0.2, 0.7, 0.6, 0.1])
    spoilt = torch.where(inside, prediction, torch.nan)
    labels = torch.where(inside, LABEL.float(), 7.0)
    expected = after(kind(space=space), prediction, LABEL, click=CLICK)
    found = after(kind(space=space), spoilt, labels, click=CLICK)
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=0, equal_nan=True)
    assert found[1] == expected[1]


@pytest.mark.parametrize("kind", [*PLAIN, M.BiasByPropensity, M.GAUC])
def test_a_space_without_rows_is_named(kind):
    more = {M.BiasByPropensity: [HALF], M.GAUC: [LABEL]}.get(kind, [])
    value, reason = after(kind(space="clicks"), HALF, LABEL, *more, click=torch.zeros(4))
    assert torch.isnan(value).all()
    assert reason == "no rows in space 'clicks'"


@pytest.mark.parametrize("kind", [*ONE_CLASS, *NEEDS_POSITIVE])
def test_a_space_without_positives_is_named(kind):
    value, reason = after(kind(), torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.zeros(4))
    assert torch.isnan(value)
    assert reason == "no positive in space 'all'"


@pytest.mark.parametrize("kind", ONE_CLASS)
def test_a_space_without_negatives_is_named(kind):
    value, reason = after(kind("non-clicks"), HALF, torch.ones(4), click=CLICK)
    assert torch.isnan(value)
    assert reason == "no negative in space 'non-clicks'"


@pytest.mark.parametrize("kind", ANY_LABELS)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_what_needs_no_second_class_is_defined_without(kind, label):
    value, reason = after(kind(), HALF, torch.full((4,), label))
    assert torch.isfinite(value)
    assert reason is None


def test_a_reason_goes_once_it_is_gone():
    metric = M.AUC()
    metric.update(HALF, torch.zeros(4))
    assert torch.isnan(metric.compute())
    assert metric.reason
    metric.update(HALF, torch.ones(4))
    assert float(metric.compute()) == 0.5
    assert metric.reason is None


def test_other_reasons():
    apart = torch.tensor([0.1, 0.2, 0.8, 0.9])
    assert "no finite slope" in after(M.Recalibration(), apart, torch.tensor([0, 0, 1, 1]))[1]
    assert "same for every row" in after(M.ErrorCorrelation(), HALF, apart, HALF, apart)[1]
    assert "no clicked rows" in after(M.EffectiveSampleSize(), torch.zeros(4), HALF)[1]
    assert "no clicked rows" in after(M.LargestWeightShare(), torch.zeros(4), HALF)[1]
    found = after(M.GAUC(), HALF, torch.tensor([0, 0, 1, 1]), torch.tensor([3, 3, 5, 5]))
    assert found[1] == "no user with both classes in space 'all'"
    none = torch.zeros(4)
    assert after(M.IPSAUC(), HALF, none, none, HALF)[1] == "no rows in space 'clicks'"
    assert after(M.IPSAUC(), HALF, none, CLICK, HALF)[1] == "no positive in space 'clicks'"
    assert after(M.SNIPSLogLoss(), HALF, none, none, HALF)[1] == "no rows in space 'clicks'"
    assert after(M.DRAUC(), HALF, none, none, HALF, none)[1] == "pairs have no positive mass"


@pytest.mark.parametrize("kind", [*PLAIN, M.BiasByPropensity, M.GAUC])
def test_a_space_of_clicks_needs_the_clicks(kind):
    more = {M.BiasByPropensity: [HALF], M.GAUC: [LABEL]}.get(kind, [])
    with pytest.raises(DataError, match="`click` must be given where the space is 'clicks'"):
        kind(space="clicks").update(HALF, LABEL, *more)
    with pytest.raises(DataError, match=r"`space` must be one of .*, found 'click'"):
        kind(space="click")


@pytest.mark.parametrize("kind", PLAIN)
def test_predictions_that_are_none_are_refused_with_their_number(kind):
    with pytest.raises(DataError, match=r"`prediction` must lie in \[0, 1\], found NaN in 2 rows"):
        kind().update(torch.tensor([torch.nan, 0.1, torch.nan, 0.2]), LABEL)
    with pytest.raises(DataError, match=r"found -2 to 3, .*in 3 rows.*they look like logits"):
        kind().update(torch.tensor([-2.0, 3.0, 1.5, 0.2]), LABEL)
    with pytest.raises(DataError, match=r"`target` must lie in \[0, 1\], found 0 to 2, .*in 1 row"):
        kind().update(HALF, torch.tensor([0, 1, 2, 1]))
    many = torch.tensor([0.5] * 9 + [1.01])
    with pytest.raises(DataError, match="in 1 rows of the space: correct them"):
        kind().update(many, torch.ones(10))


@pytest.mark.parametrize("kind", PLAIN)
def test_a_refused_batch_leaves_no_trace(kind):
    metric = kind()
    metric.update(torch.tensor([0.2, 0.7, 0.6, 0.1]), LABEL)
    before = [value.clone() for value in metric.metric_state.values() if torch.is_tensor(value)]
    with pytest.raises(DataError):
        metric.update(HALF, torch.tensor([0.0, torch.nan, 1.0, 0.0]))
    after = [value for value in metric.metric_state.values() if torch.is_tensor(value)]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_columns_of_other_lengths_and_bad_weights_are_named():
    with pytest.raises(DataError, match=r"`target` must hold one value per row, shape \(4,\)"):
        M.AUC().update(HALF, LABEL[:3])
    with pytest.raises(DataError, match=r"`click` must hold one value per row.* found \(4, 1\)"):
        M.AUC("clicks").update(HALF, LABEL, click=CLICK.unsqueeze(1))
    with pytest.raises(DataError, match="`weight` must be finite and at least 0, found -1"):
        M.AUC().update(HALF, LABEL, weight=torch.tensor([1.0, -1.0, 1.0, 1.0]))


def test_propensities_fields_features_and_groups_are_checked():
    with pytest.raises(DataError, match=r"`propensity` must lie in \(0, 1\] on clicks, found 0"):
        M.EffectiveSampleSize().update(CLICK, torch.zeros(4))
    with pytest.raises(DataError, match=r"`propensity` must lie in \(0, 1\] on clicks"):
        M.IPSLogLoss().update(HALF, LABEL, CLICK, torch.tensor([0.5, torch.nan, 0.5, 0.5]))
    with pytest.raises(DataError, match=r"`propensity` must lie in \[0, 1\]"):
        M.BiasByPropensity().update(HALF, LABEL, 2 * torch.ones(4))
    with pytest.raises(DataError, match=r"`imputation` must lie in \[0, 1\]"):
        M.DRAUC().update(HALF, LABEL, CLICK, HALF, torch.tensor([0.5, 0.5, 0.5, -3.0]))
    with pytest.raises(DataError, match="`field` must hold integer ids from 0 to 2, found 3"):
        M.FieldRCE(3).update(HALF, LABEL, torch.tensor([0, 1, 2, 3]))
    with pytest.raises(DataError, match=r"`features` must be numbers of shape \(B, 2\)"):
        M.CovariateBalance(2).update(CLICK, HALF, torch.zeros(4, 3))
    with pytest.raises(DataError, match=r"`group` must hold integer ids, found torch.float32"):
        M.GAUC().update(HALF, LABEL, HALF)
    with pytest.raises(DataError, match="`click` must be given where users are averaged by clicks"):
        M.GAUC(by="clicks").update(HALF, LABEL, LABEL)
    with pytest.raises(DataError, match="`by` must be 'impressions' or 'clicks', found 'rows'"):
        M.GAUC(by="rows")


def test_values_off_the_clicks_do_not_change_the_estimates():
    conversion = torch.tensor([1.0, 0.0, torch.nan, 9.0])
    prediction = torch.tensor([0.2, 0.7, 0.6, 0.1])
    for kind in (M.IPSAUC, M.IPSLogLoss, M.SNIPSLogLoss):
        expected = after(kind(), prediction, LABEL * CLICK, CLICK, HALF)
        assert after(kind(), prediction, conversion, CLICK, HALF) == expected
    for kind in (M.DRAUC, M.DRLogLoss):
        expected = after(kind(), prediction, LABEL * CLICK, CLICK, HALF, HALF / 2)
        assert after(kind(), prediction, conversion, CLICK, HALF, HALF / 2) == expected
