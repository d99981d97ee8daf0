"""A builder survives JSON if it is this package's own, and a file can name nothing else."""

import inspect
import json
from functools import partial

import pytest
import torch

from mtl_seq import FeatureSpec, losses, models, nn
from mtl_seq.errors import ArtifactError
from mtl_seq.fit.storage.builder_json import builder_from_dict, builder_to_dict

SPEC = FeatureSpec(ids={"user": 5, "item": 4}, dense=["price"])
BUILDERS = {
    name: getattr(models, name)
    for name in models.__all__
    if inspect.isfunction(getattr(models, name)) and name != "assemble"
}


def round_trip(builder):
    return builder_from_dict(json.loads(json.dumps(builder_to_dict(builder))))


def parts(value):
    """What a builder does, as plain values: partials have no equality of their own."""
    if isinstance(value, partial):
        return value.func, {name: parts(argument) for name, argument in value.keywords.items()}
    if isinstance(value, (list, tuple)):
        return [parts(item) for item in value]
    return value


def test_the_table_holds_every_named_model():
    compared = {"click_space", "multitask", "esmm", "escm2_ips", "escm2_dr", "oracle"}
    assert compared | {"mmoe", "omoe", "ple", "shared_bottom"} <= set(BUILDERS)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_named_model_comes_back_itself(name):
    assert round_trip(BUILDERS[name]) is BUILDERS[name]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_model_with_parts_of_parts_comes_back_with_them(name):
    bottom = partial(nn.SingleTask, bottom=partial(nn.MMoE, experts=2, hidden=(8, 4)))
    builder = partial(BUILDERS[name], bottom=bottom)
    assert parts(round_trip(builder)) == parts(builder)


@pytest.mark.parametrize(
    "builder",
    [
        partial(models.esmm, ctcvr_weight=0.25),
        partial(partial(models.esmm, ctcvr_weight=0.25), bottom=nn.SharedBottom),
        partial(models.escm2_ips, propensity=losses.PropensityPolicy(floor=0.1), cvr_weight=2),
        partial(models.escm2_ips, propensity=losses.PropensityPolicy(quantile=0.05)),
        partial(models.escm2_dr, propensity=None, imputation_weight=1e-3),
        partial(models.esmm, bottom=partial(nn.SharedBottom, hidden=[16, 8])),
        partial(models.esmm, bottom=partial(nn.SharedBottom, hidden=())),
    ],
    ids=["number", "partial of partial", "floor", "quantile", "none", "list", "empty"],
)
def test_arguments_come_back_equal(builder):
    again = round_trip(builder)
    assert parts(again) == parts(builder)
    one, other = (b(SPEC, seed=3) for b in (builder, again))
    assert one.objective.weights == other.objective.weights
    weights = other.state_dict()
    assert one.state_dict().keys() == weights.keys()
    assert all(torch.equal(x, weights[name]) for name, x in one.state_dict().items())


def own(spec, *, funnel, seed):
    return models.esmm(spec, funnel=funnel, seed=seed)


def esmm(spec, *, funnel, seed):
    """Of a public name, and not the public function."""
    return own(spec, funnel=funnel, seed=seed)


class OwnBottom(nn.SharedBottom):
    pass


@pytest.mark.parametrize(
    "builder",
    [
        own,
        esmm,
        lambda **_: None,
        partial(own, funnel=None),
        partial(models.esmm, bottom=OwnBottom),
        partial(models.esmm, bottom=partial(nn.SingleTask, bottom=OwnBottom)),
        partial(models.esmm, SPEC),
        partial(models.esmm, bottom=object()),
    ],
    ids=[
        "function",
        "namesake",
        "lambda",
        "partial of own",
        "own part",
        "own part of a part",
        "positional",
        "object",
    ],
)
def test_what_is_user_defined_has_no_json(builder):
    assert builder_to_dict(builder) is None


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "mtl_seq.fit.storage.builder_json.importlib",
        "mtl_seq.models.model.assemble",
        "mtl_seq.models.importlib",
        "mtl_seq.models.__builtins__",
        "mtl_seq.nn.network",
        "mtl_seq.simulate.LogisticFunnel",
        "esmm",
        "",
        None,
        7,
    ],
)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: inner,
        lambda inner: {**inner, "partial": {"command": "true"}},
        lambda inner: {**inner, "make": {"command": "true"}},
        lambda inner: {"name": "mtl_seq.models.esmm", "partial": {"bottom": inner}},
        lambda inner: {"name": "mtl_seq.losses.PropensityPolicy", "make": {"floor": [inner]}},
    ],
    ids=["itself", "partial", "call", "argument", "field"],
)
def test_a_name_outside_the_public_lists_is_refused(name, wrap):
    with pytest.raises(ArtifactError, match="no public part of"):
        builder_from_dict(wrap({"name": name}))


@pytest.mark.parametrize(
    "content", [[], "mtl_seq.models.esmm", None, {"name": "mtl_seq.models.CLICK_CONVERSION"}]
)
def test_what_is_no_builder_is_refused(content):
    with pytest.raises(ArtifactError, match="a builder must be a public function"):
        builder_from_dict(content)


@pytest.mark.parametrize(
    "content",
    [
        {"name": "mtl_seq.models.CLICK_CONVERSION", "partial": {}},
        {"name": "mtl_seq.models.esmm", "make": {}},
    ],
)
def test_json_that_misuses_a_public_name_is_an_artefact_error(content):
    with pytest.raises(ArtifactError):
        builder_from_dict(content)
