"""Features that give a label away are named before anything is trained, and no others."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mtl_seq import Schema
from mtl_seq.data import LEAK_AUC, check_leaks
from mtl_seq.errors import DataError

LABELS = {"click": "click", "conversion": "conversion"}
ROWS = 4000


def labels(seed=1):
    rng = np.random.default_rng(seed)
    click = (rng.random(ROWS) < 0.4).astype(int)
    return pd.DataFrame({"click": click, "conversion": click * (rng.random(ROWS) < 0.3)}), rng


def schema(role):
    return Schema(labels=LABELS, **{role: ("feature",)})


@pytest.mark.parametrize("role", ["ids", "dense"])
@pytest.mark.parametrize("stage", ["click", "conversion"])
@pytest.mark.parametrize("dtype", ["int64", "bool", "float32", "Int64"])
def test_a_feature_that_equals_a_label(role, stage, dtype):
    log, _ = labels()
    log["feature"] = log[stage].astype(dtype)
    with pytest.raises(DataError, match=f"feature 'feature' equals '{stage}', the label of"):
        check_leaks(schema(role), log)


@pytest.mark.parametrize("role", ["ids", "dense"])
@pytest.mark.parametrize("stage", ["click", "conversion"])
def test_a_feature_that_nearly_is_a_label(role, stage):
    log, rng = labels()
    flipped = rng.random(ROWS) < 0.005
    log["feature"] = log[stage] ^ flipped
    with pytest.raises(
        DataError, match=r"'feature' predicts '(\w+)'.*allow_leak=\['feature'\]"
    ) as e:
        check_leaks(schema(role), log)
    said = float(str(e.value).split("AUC ")[1].split()[0])
    named = str(e.value).split("'")[3]
    # The conversion is judged among clicks; the AUC named is that of the held-out half.
    rows = log[log["click"] == 1] if named == "conversion" else log
    assert named == stage
    assert said == pytest.approx(roc_auc_score(rows[stage], rows["feature"]), abs=0.01)
    assert said > LEAK_AUC


def test_a_label_under_other_names_is_found_in_strings():
    log, _ = labels()
    log["feature"] = np.where(log["click"] == 1, "shown_and_clicked", "shown")
    with pytest.raises(DataError, match=r"'feature' predicts 'click' alone with AUC 1\.0000"):
        check_leaks(schema("ids"), log)


def test_a_dense_feature_that_is_only_lower_on_positives_is_found():
    log, rng = labels()
    log["feature"] = 1e6 * (5 - 10 * log["click"] + rng.standard_normal(ROWS))
    with pytest.raises(DataError, match=r"'feature' predicts 'click' alone with AUC (1\.0|0\.99)"):
        check_leaks(schema("dense"), log)


def test_a_value_that_is_missing_off_the_clicks_is_found_in_an_id():
    log, rng = labels()
    log["feature"] = pd.Series(rng.integers(5, size=ROWS), dtype="Int64").where(log["click"] == 1)
    with pytest.raises(DataError, match=r"'feature' predicts 'click' alone with AUC 1\.0000"):
        check_leaks(schema("ids"), log)


@pytest.mark.parametrize("role", ["ids", "dense"])
def test_a_feature_with_an_auc_of_90_percent_passes(role):
    log, rng = labels()
    # Two unit normals 1.81 apart have AUC Phi(1.81 / sqrt(2)) = 0.90.
    score = rng.standard_normal(ROWS) + 1.81 * log["click"]
    assert roc_auc_score(log["click"], score) == pytest.approx(0.9, abs=0.01)
    log["feature"] = score if role == "dense" else np.digitize(score, np.linspace(-2, 4, 30))
    check_leaks(schema(role), log)


@pytest.mark.parametrize("distinct", [ROWS, 10 * ROWS, ROWS // 2])
def test_a_random_id_of_many_values_does_not_trigger(distinct):
    # Encoded on the rows it is scored on, such an id would look perfect.
    log, rng = labels()
    log["feature"] = rng.integers(distinct, size=ROWS)
    check_leaks(schema("ids"), log)


def test_a_unique_random_number_does_not_trigger():
    log, rng = labels()
    log["feature"] = rng.random(ROWS)
    check_leaks(schema("dense"), log)


def test_a_feature_on_the_list_is_let_through_and_the_others_are_not():
    log, _ = labels()
    log["feature"] = log["click"]
    log["other"] = np.where(log["click"] == 1, "y", "n")
    both = Schema(labels=LABELS, ids=("feature", "other"))
    check_leaks(both, log, allow=["feature", "other"])
    with pytest.raises(DataError, match="feature 'other' predicts 'click'"):
        check_leaks(both, log, allow=["feature"])


def test_a_later_stage_is_judged_among_rows_that_reached_its_parent():
    # Over all rows the feature tells clicks with AUC .97, hence conversions too; what counts for
    # the conversion is that it tells nothing among the clicks.
    log, rng = labels()
    converts = log["click"] * (rng.random(ROWS) < 0.97)
    log["conversion"] = converts
    log["feature"] = log["click"] ^ (rng.random(ROWS) < 0.03)
    over_all = roc_auc_score(log["conversion"], log["feature"])
    assert 0.93 < over_all < LEAK_AUC
    check_leaks(schema("ids"), log)


def test_a_feature_that_is_perfect_among_clicks_alone_is_found():
    log, rng = labels()
    log["feature"] = np.where(log["click"] == 1, log["conversion"], rng.integers(2, size=ROWS))
    over_all = roc_auc_score(log["conversion"], log["feature"])
    assert over_all < LEAK_AUC
    with pytest.raises(DataError, match=r"predicts 'conversion' alone with AUC 1\.0000"):
        check_leaks(schema("ids"), log)


def test_too_few_positives_to_judge_pass():
    log, _ = labels()
    log["conversion"] = 0
    log.loc[log.index[log["click"] == 1][:12], "conversion"] = 1
    log["feature"] = log["conversion"].astype(str)
    check_leaks(schema("ids"), log)


def test_the_frame_is_not_changed():
    log, rng = labels()
    log["feature"] = rng.random(ROWS)
    before = log.copy(deep=True)
    check_leaks(schema("dense"), log)
    pd.testing.assert_frame_equal(log, before)


def test_a_leak_is_seen_in_a_log_drawn_from_a_common_seed():
    """Were the halves drawn from that seed too, one of them would hold no click at all."""
    click = (np.random.default_rng(0).random(4000) < 0.4).astype(int)
    frame = pd.DataFrame({"leak": np.where(click == 1, "yes", "no"), "click": click})
    with pytest.raises(DataError, match="'leak' predicts 'click' alone"):
        check_leaks(Schema(labels={"click": "click"}, ids=["leak"]), frame)
