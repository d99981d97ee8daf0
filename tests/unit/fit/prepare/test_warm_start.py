"""A warm start predicts what the earlier fit predicted, and then learns of the new days."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq import FunnelEstimator, Schema, models, nn
from mtl_seq.data import Codec, Encoding, Source, write_frame
from mtl_seq.data.encode.warm_start import extend_codec, fold_tables
from mtl_seq.errors import CompositionError, DataError, NotFittedError, SchemaError
from mtl_seq.fit.prepare import rows
from mtl_seq.fit.prepare.warm_start import Fitted, grow
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SCENARIO.sample(3000, np.random.default_rng(5))
LOG["user_id"] = LOG["user_id"].astype("Int64").where(np.arange(len(LOG)) % 20 > 0)
LOG["tags"] = [[f"t{i % 7}", f"t{i % 5}"] for i in range(len(LOG))]
SCHEMA = Schema.from_dict({**SCENARIO.schema.to_dict(), "bags": ["tags"], "group": None})
# Days of which the first knows the even users only, and the last tags that are new.
OLD = LOG[LOG["user_id"].isna() | (LOG["user_id"] % 2 == 0)].iloc[:1000].reset_index(drop=True)
NEW = LOG.iloc[1500:].reset_index(drop=True)
NEW["tags"] = [[*tags, "new"] for tags in NEW["tags"]]
BOTTOM = partial(nn.SharedBottom, hidden=(8,))
PLAIN = Encoding(target_encoding=None)


def estimator(build=models.esmm, encoding=PLAIN, **settings):
    given = {"epochs": 2, "batch_size": 100, "patience": 9, **settings}
    return FunnelEstimator(partial(build, bottom=BOTTOM), SCHEMA, encoding=encoding, **given)


def test_old_ids_keep_their_rows_and_new_ones_are_appended():
    old, new = (Codec.fit(SCHEMA, frame) for frame in (OLD, NEW))
    both = extend_codec(old, new)
    for column in ("user_id", "item_id", "tags"):
        known, more = old.vocabularies[column], both.vocabularies[column]
        assert list(more.keys[: len(known.keys)]) == list(known.keys)
        assert set(more.keys) == set(known.keys) | set(new.vocabularies[column].keys)
        assert len(set(more.keys)) == len(more.keys)
    users = both.vocabularies["user_id"]
    assert len(users.keys) > len(old.vocabularies["user_id"].keys)
    assert users.encode(pd.Series([None], dtype="Int64"))[0] == users.rows - 1
    assert both.scales == old.scales
    features = old.encode(OLD).features
    for name, x in both.encode(OLD).features.items():
        kept = features[name] < old.vocabularies.get("user_id").rows - 1
        if name == "user_id":
            assert torch.equal(x[kept], features[name][kept])
        else:
            assert torch.equal(x, features[name])


def test_target_encodings_count_the_rows_of_both():
    old, new = (Codec.fit(SCHEMA, frame, target_encoding=20.0) for frame in (OLD, NEW))
    both = extend_codec(old, new)
    frame = pd.concat([OLD, NEW], ignore_index=True)
    whole = Codec.fit(SCHEMA, frame, target_encoding=20.0)
    for column in SCHEMA.ids:
        rows_of = both.vocabularies[column].encode(frame[column])
        same = whole.vocabularies[column].encode(frame[column])
        for part in ("went_on", "reached", "seen"):
            found, wanted = (getattr(c.encodings[column], part) for c in (both, whole))
            np.testing.assert_array_equal(found[..., rows_of], wanted[..., same])


def test_fold_tables_of_a_source_are_those_of_memory(tmp_path):
    old, new = (Codec.fit(SCHEMA, frame, target_encoding=20.0) for frame in (OLD, NEW))
    both = extend_codec(old, new)
    NEW.to_parquet(tmp_path / "new.parquet", row_group_size=333)
    tables = fold_tables(both, Source.open(tmp_path / "new.parquet"))
    found = both.encode_out_of_fold(NEW, np.arange(len(NEW)), tables).features
    for name, x in both.encode_training(NEW).features.items():
        torch.testing.assert_close(found[name], x, rtol=1e-6, atol=1e-6)
    assert fold_tables(Codec.fit(SCHEMA, OLD), Source.open(tmp_path / "new.parquet")) is None


ENCODINGS = {
    "plain": PLAIN,
    "wide, buckets, vectors of numbers": Encoding(
        target_encoding=None, wide=True, buckets=4, numeric=3, embedding={"item_id": 4}
    ),
    "hashed": Encoding(target_encoding=None, hashed={"item_id": 50}),
}


@pytest.mark.parametrize("build", [models.esmm, models.escm2_dr, models.esmm_ns])
@pytest.mark.parametrize("name", ENCODINGS)
def test_before_its_first_step_it_predicts_what_the_earlier_fit_did(build, name):
    if build is models.esmm_ns:
        build = partial(build)
    before = estimator(build, ENCODINGS[name], epochs=1).fit(OLD)
    codec = extend_codec(before.codec_, Codec.fit_with(ENCODINGS[name], SCHEMA, NEW))
    spec = ENCODINGS[name].applied(codec.spec)
    grown = before.model(spec, funnel=SCHEMA.funnel, seed=7)
    grow(Fitted(before.codec_, before.model_), codec, grown)
    frame = pd.concat([OLD, NEW.assign(tags=[["new"]] * len(NEW))], ignore_index=True)
    with torch.inference_mode():
        wanted = before.model_(before.codec_.encode(frame).features)
        found = grown.eval()(codec.encode(frame).features)
    # New users, and bags of new tags, stand where the unseen stood.
    torch.testing.assert_close(found.logits, wanted.logits)


def test_it_learns_of_the_new_days():
    before = estimator(epochs=4).fit(OLD)
    after = estimator(epochs=2).fit(NEW, warm_start=before)
    cold = estimator(epochs=2).fit(NEW)
    assert after.run_.validation_scores[0] < cold.run_.validation_scores[0]
    # The earlier fit is as it was.
    assert before.codec_.vocabularies["user_id"].rows < after.codec_.vocabularies["user_id"].rows


def test_it_streams(tmp_path, monkeypatch):
    before = estimator(encoding=Encoding(), epochs=1).fit(OLD)
    write_frame(NEW, tmp_path / "new.parquet")
    monkeypatch.setattr(rows, "IN_MEMORY", 100)
    after = estimator(encoding=Encoding(), epochs=1).fit(
        tmp_path / "new.parquet", warm_start=before
    )
    users = before.codec_.vocabularies["user_id"].keys
    assert list(after.codec_.vocabularies["user_id"].keys[: len(users)]) == list(users)


def test_a_start_that_does_not_fit_is_refused():
    before = estimator(epochs=1).fit(OLD)
    with pytest.raises(NotFittedError):
        estimator().fit(NEW, warm_start=estimator())
    with pytest.raises(CompositionError, match="this one has other weights"):
        estimator(models.escm2_dr).fit(NEW, warm_start=before)
    with pytest.raises(SchemaError, match="the same `Encoding`"):
        estimator(encoding=Encoding()).fit(NEW, warm_start=before)
    with pytest.raises(DataError, match="must hold keys of kind 'int', found 'str'"):
        estimator().fit(NEW.astype({"item_id": str}), warm_start=before)
    with pytest.raises(DataError, match="must be hashed as before"):
        estimator(encoding=ENCODINGS["hashed"]).fit(NEW, warm_start=before)
