"""The models that experiments know by name."""

import inspect

from mtl_seq import FeatureSpec, models
from mtl_seq.experiments import ALL, BUILDERS, MODELS
from mtl_seq.models import CLICK_CONVERSION, FunnelModel


def test_every_function_of_models_is_a_builder_but_the_one_that_takes_an_objective():
    functions = {name for name in models.__all__ if inspect.isfunction(getattr(models, name))}
    assert functions - set(BUILDERS) == {"assemble"}
    for builder in BUILDERS.values():
        assert isinstance(builder(FeatureSpec(dense=["x"]), seed=0), FunnelModel)


def test_all_are_those_that_a_log_of_clicks_and_conversions_suffices_for():
    assert list(ALL)[: len(MODELS)] == list(MODELS)
    for name, builder in BUILDERS.items():
        signature = inspect.signature(builder)
        plain = signature.parameters["funnel"].default == CLICK_CONVERSION
        click_only = name in ("esmm_dependent", "esmm_gaussian")
        assert (name in ALL) == (plain and not click_only)
