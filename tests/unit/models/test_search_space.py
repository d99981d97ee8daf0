"""What a search may turn: every builder's own arguments, and nothing it does not have."""

from functools import partial

import numpy as np
import pytest

from mtl_seq import models, nn
from mtl_seq.errors import CompositionError
from mtl_seq.experiments.compare import BUILDERS
from mtl_seq.losses import PropensityPolicy
from mtl_seq.models import Choice, Range
from mtl_seq.models.search_space import applied, search_space
from mtl_seq.schema import FeatureSpec

SPEC = FeatureSpec(ids={"user_id": 5}, dense=["price"], embedding=4)


def drawn(space, seed):
    rng = np.random.default_rng(seed)
    return {
        name: one.options[rng.integers(len(one.options))]
        if isinstance(one, Choice)
        else float(rng.uniform(one.low, one.high))
        for name, one in space.items()
    }


@pytest.mark.parametrize("name", BUILDERS)
def test_whatever_is_drawn_can_be_built(name):
    build = BUILDERS[name]
    space = search_space(build)
    assert space
    for seed in range(2):
        applied(build, drawn(space, seed))(SPEC, seed=0)


def test_the_ranges_are_those_of_the_builders_arguments():
    result = search_space(models.escm2_dr)
    assert result["cvr_weight"] == Range(0.1, 10.0, log=True)
    assert result["propensity.quantile"] == Range(0.001, 0.1, log=True)
    assert result["bottom.experts"] == Choice((2, 4, 8))
    assert search_space(models.aman)["rate"] == Choice((0.1, 0.2, 0.5, 1.0))
    assert "bottom.experts" not in search_space(models.shared_bottom)


def test_values_reach_the_parts_they_are_for():
    values = {
        "ctcvr_weight": 3.0,
        "propensity.quantile": 0.05,
        "bottom.experts": 2,
        "bottom.hidden": "8,6",
    }
    build = applied(partial(models.escm2_ips, cvr_weight=2.0), values)
    model = build(SPEC, seed=0)
    assert model.objective.weights == {"ctr": 1.0, "cvr": 2.0, "ctcvr": 3.0}
    assert model.objective.losses["cvr"].propensity.quantile == 0.05
    assert model.network.bottom.out_features == 6
    assert len(model.network.bottom.experts) == 2


def test_what_a_partial_has_set_is_not_searched():
    build = partial(
        models.escm2_ips,
        cvr_weight=2.0,
        bottom=partial(nn.MMoE, experts=3),
        propensity=PropensityPolicy(floor=0.1),
    )
    result = search_space(build)
    assert "cvr_weight" not in result
    assert "bottom.experts" not in result
    assert "bottom.hidden" in result
    kept = applied(build, {"propensity.quantile": 0.02}).keywords["propensity"]
    assert (kept.floor, kept.quantile) == (0.1, 0.02)
    assert applied(build, {}) is build


def test_an_unknown_argument_is_refused():
    with pytest.raises(CompositionError, match="esmm has no argument 'cvr_weight'"):
        applied(models.esmm, {"cvr_weight": 1.0})
    with pytest.raises(CompositionError, match=r"esmm has no argument 'seed\.x'"):
        applied(models.esmm, {"seed.x": 1.0})
