"""The estimator keeps scikit-learn's contract."""

import copy
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.utils import estimator_checks, get_tags

from mtl_seq import Funnel, FunnelEstimator, models, nn
from mtl_seq.data import Encoding
from mtl_seq.errors import CompositionError, DataError, NotFittedError
from mtl_seq.fit import DenseAdam
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SCENARIO.sample(1200, np.random.default_rng(5))
HELD, _ = SCENARIO.sample(600, np.random.default_rng(6))
SMALL = partial(models.esmm, bottom=partial(nn.SharedBottom, hidden=(8,)))

APPLICABLE = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
)
NOT_APPLICABLE = {
    "they fit an array of numbers: a log is a frame whose columns the schema names": (
        "check_fit_score_takes_y",
        "check_estimators_overwrite_params",
        "check_dont_overwrite_parameters",
        "check_estimators_fit_returns_self",
        "check_readonly_memmap_input",
        "check_positive_only_tag_during_fit",
        "check_estimators_dtypes",
        "check_dtype_object",
        "check_complex_data",
        "check_f_contiguous_array_estimator",
        "check_estimators_empty_data_messages",
        "check_estimators_nan_inf",
        "check_pipeline_consistency",
        "check_estimators_pickle",
        "check_fit2d_predict1d",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_fit2d_1sample",
        "check_fit2d_1feature",
        "check_dict_unchanged",
        "check_fit_idempotent",
        "check_fit_check_is_fitted",
        "check_n_features_in",
        "check_array_api_input",
        "check_fit1d",
    ),
    "features are columns by name, so that there is no `n_features_in_`": (
        "check_n_features_in_after_fitting",
    ),
    "sparse matrices are no logs": (
        "check_estimator_sparse_tag",
        "check_estimator_sparse_array",
        "check_estimator_sparse_matrix",
    ),
    "weights of rows are a column that the schema names": (
        "check_sample_weights_pandas_series",
        "check_sample_weights_not_an_array",
        "check_sample_weights_list",
        "check_all_zero_sample_weights_error",
        "check_sample_weights_shape",
        "check_sample_weights_not_overwritten",
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    ),
    "the error of an unfitted estimator is mtl_seq.errors.NotFittedError": (
        "check_estimators_unfitted",
    ),
}


def name_of(check):
    while hasattr(check, "func"):
        check = check.func
    return check.__name__


@pytest.mark.parametrize("name", APPLICABLE)
def test_it_passes_the_checks_of_scikit_learn_that_apply(name):
    getattr(estimator_checks, name)("FunnelEstimator", FunnelEstimator())


def test_every_check_of_scikit_learn_applies_or_has_a_reason_why_not():
    refused = [name for names in NOT_APPLICABLE.values() for name in names]
    known = {*APPLICABLE, *refused}
    assert len(known) == len(APPLICABLE) + len(refused)
    with pytest.warns(UserWarning, match="does not inherit from `sklearn.base.BaseEstimator`"):
        checks = [*estimator_checks.estimator_checks_generator(FunnelEstimator())]
    offered = {name_of(check) for _, check in checks}
    assert offered - known == set()


def test_the_constructor_stores_its_arguments_untouched():
    given = {
        "model": SMALL,
        "schema": SCENARIO.schema,
        "encoding": Encoding(embedding=4),
        "allow_leak": ["price"],
        "trainer": {"devices": 1},
        "lr": 0.1,
    }
    one = FunnelEstimator(**given)
    for name, value in given.items():
        assert getattr(one, name) is value
    params = one.get_params()
    assert list(params)[:2] == ["model", "schema"]
    assert all(params[name] is value for name, value in given.items())


def test_a_fit_changes_no_parameter():
    one = FunnelEstimator(SMALL, SCENARIO.schema, epochs=1)
    before = one.get_params()
    one.fit(LOG)
    assert all(value is before[name] for name, value in one.get_params().items())


def test_an_unknown_parameter_is_named():
    with pytest.raises(ValueError, match=r"unknown parameter 'rate' .*known are model, schema"):
        FunnelEstimator().set_params(rate=1)


def test_parameters_of_a_parameter_have_two_underscores():
    class Part:
        def __init__(self):
            self.size = 1

        def get_params(self):
            return {"size": self.size}

        def set_params(self, size):
            self.size = size

    one = FunnelEstimator(encoding=Part())
    assert one.get_params()["encoding__size"] == 1
    assert "encoding__size" not in one.get_params(deep=False)
    assert one.set_params(encoding__size=5, lr=0.1).get_params()["encoding__size"] == 5
    assert one.lr == 0.1


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (FunnelEstimator(), "FunnelEstimator()"),
        (FunnelEstimator(lr=5e-3, seed=0, epochs=None), "FunnelEstimator()"),
        (
            FunnelEstimator(models.esmm, lr=0.01, encoding=Encoding(embedding=8), seed=3),
            "FunnelEstimator(model=esmm, lr=0.01, encoding=Encoding(embedding=8), seed=3)",
        ),
        (
            FunnelEstimator(partial(models.ple, bottom=nn.PLE), optimizer=DenseAdam()),
            "FunnelEstimator(model=partial(ple, bottom=PLE), optimizer=DenseAdam())",
        ),
    ],
)
def test_repr_shows_what_differs_from_the_defaults(one, expected):
    assert repr(one) == expected


def test_repr_of_a_schema_leaves_its_defaults_out():
    shown = repr(FunnelEstimator(schema=SCENARIO.schema))
    assert "dense=('price',)" in shown
    assert "hidden_from" not in shown


def test_clone_copies_the_parameters_and_not_the_fit():
    one = FunnelEstimator(SMALL, SCENARIO.schema, epochs=1, lr=0.01).fit(LOG)
    other = clone(one)
    assert other.lr == 0.01
    assert other.schema == one.schema
    with pytest.raises(NotFittedError):
        other.predict(LOG)
    pd.testing.assert_frame_equal(other.fit(LOG).predict(HELD), one.predict(HELD))


def test_a_fitted_estimator_can_be_pickled_and_copied():
    one = FunnelEstimator(SMALL, SCENARIO.schema, epochs=1).fit(LOG)
    for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        pd.testing.assert_frame_equal(other.predict(HELD), one.predict(HELD))


def test_the_default_model_is_targeted():
    one = FunnelEstimator(schema=SCENARIO.schema, epochs=1).fit(LOG)
    other = FunnelEstimator(models.targeted, SCENARIO.schema, epochs=1).fit(LOG)
    pd.testing.assert_frame_equal(one.predict(HELD), other.predict(HELD))


def test_a_grid_search_picks_the_learning_rate():
    one = FunnelEstimator(SMALL, SCENARIO.schema, epochs=1)
    search = GridSearchCV(one, {"lr": [1e-6, 2e-2]}, cv=2).fit(LOG)
    assert search.best_params_ == {"lr": 2e-2}
    scores = search.cv_results_["mean_test_score"]
    assert (scores < 0).all()
    assert search.best_estimator_.score(HELD) > FunnelEstimator(
        SMALL, SCENARIO.schema, epochs=1, lr=1e-6
    ).fit(LOG).score(HELD)


def test_cross_val_predict_predicts_every_row_by_a_model_of_the_others():
    one = FunnelEstimator(SMALL, SCENARIO.schema, epochs=1)
    found = cross_val_predict(one, LOG, cv=3)
    assert found.shape == (len(LOG), 3)
    first = clone(one).fit(LOG.iloc[400:]).predict(LOG.iloc[:400])
    np.testing.assert_array_equal(found[:400], first.to_numpy())
    assert cross_val_score(one, LOG, cv=2).shape == (2,)


@pytest.mark.parametrize("method", ["fit", "score"])
def test_labels_are_columns_of_the_log_and_no_y(method):
    one = FunnelEstimator(SMALL, SCENARIO.schema, epochs=1)
    with pytest.raises(DataError, match=r"`y` must be None, found Series: labels are columns"):
        getattr(one, method)(LOG, LOG["click"])


def test_tags_say_that_there_is_no_y():
    tags = get_tags(FunnelEstimator())
    assert tags.estimator_type is None
    assert not tags.target_tags.required
    assert tags.requires_fit


def log_loss(y, p):
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("model", [SMALL, partial(models.targeted, bottom=nn.SharedBottom)])
def test_the_score_is_minus_the_loss_of_clicks_and_of_conversions_among_clicks(weighted, model):
    schema = replace(SCENARIO.schema, weight="w" if weighted else None)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(HELD))
    one = FunnelEstimator(model, schema, epochs=1).fit(LOG.assign(w=1.0))
    scores = one.predict(HELD)
    click, conversion = HELD["click"].to_numpy(), HELD["conversion"].to_numpy()
    loss = log_loss(click, scores["pctr"].to_numpy())
    loss += click * log_loss(conversion, (scores["pctcvr"] / scores["pctr"]).to_numpy())
    expected = np.average(loss, weights=weight if weighted else None)
    assert one.score(HELD.assign(w=weight)) == pytest.approx(-expected, rel=1e-9)


def test_the_score_of_a_longer_funnel_counts_every_stage():
    """Each stage given its parent, where that was reached."""
    chance = np.random.default_rng(0).random(len(LOG)) < 0.5
    log = LOG.assign(cart=np.where(chance, LOG["click"], LOG["conversion"]))
    stages = ("click", "cart", "conversion")
    schema = replace(SCENARIO.schema, labels={s: s for s in stages}, funnel=Funnel.chain(*stages))
    one = FunnelEstimator(SMALL, schema, epochs=1).fit(log)
    joint = one.model_.network(one.codec_.encode(log).features).log_joint
    y = [log[stage].to_numpy() for stage in stages]
    p = [joint[stage].exp().detach().double().numpy() for stage in stages]
    loss = log_loss(y[0], p[0]) + y[0] * log_loss(y[1], p[1] / p[0])
    loss += y[1] * log_loss(y[2], p[2] / p[1])
    assert one.score(log) == pytest.approx(-loss.mean(), rel=1e-5)


def test_an_order_has_no_log_loss():
    ranker = partial(models.pairwise_ranker, bottom=nn.SharedBottom)
    one = FunnelEstimator(ranker, replace(SCENARIO.schema, group="user_id"), epochs=1).fit(LOG)
    with pytest.raises(CompositionError, match="`score` needs probabilities"):
        one.score(HELD)
