"""Every bottom with every head on every funnel that the head supports."""

from functools import partial

import pytest
from contract import rows

from mtl_seq import models, nn
from mtl_seq.losses import EntireSpace, Objective
from mtl_seq.testing import CHAINS, FUNNELS, check_exportable, check_model

HEADS = {
    "ParallelHead": nn.ParallelHead,
    "DBMTL": nn.DBMTL,
    "AITM": nn.AITM,
    "JointHead": nn.JointHead,
    "DependentHead": nn.DependentHead,
    "GaussianHead": nn.GaussianHead,
}
COMBINATIONS = {
    f"{name}, {' '.join(conditional.name for conditional in funnel.conditionals)}": (head, funnel)
    for name, head in HEADS.items()
    for funnel in rows.ON.get(name, {}).get("funnels", FUNNELS)
}
# Other sizes and options of a bottom are tested by `check_bottom`; they compose as their class.
BOTTOMS = [part for part in rows.BOTTOMS.values() if isinstance(part, type)]
bottoms = pytest.mark.parametrize("bottom", BOTTOMS)
combinations = pytest.mark.parametrize(
    ("head", "funnel"), COMBINATIONS.values(), ids=list(COMBINATIONS)
)


def build(spec, *, funnel, seed, bottom, head):
    """A model trained on the joint of every stage, which reaches every tower."""
    objective = Objective({stage: EntireSpace(stage) for stage in funnel.names})
    return models.assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed, head=head)


@bottoms
@combinations
def test_every_bottom_composes_with_every_head(bottom, head, funnel):
    check_model(partial(build, bottom=bottom, head=head), funnel=funnel)


# Export takes a second or more: every bottom is exported with one head on one funnel, and every
# head on every funnel with the default bottom; the other combinations are marked slow.
DEEPEST = (nn.DBMTL, FUNNELS[-1])


def to_export(bottom, combination):
    """A network to be exported, and whether it is slow."""
    head, funnel = COMBINATIONS[combination]
    always = bottom is nn.MMoE or (head, funnel) == DEEPEST
    return pytest.param(
        bottom, head, funnel,
        id=f"{combination}-{bottom.__name__}", marks=() if always else pytest.mark.slow,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bottom", "head", "funnel"),
    [to_export(bottom, combination) for combination in COMBINATIONS for bottom in BOTTOMS],
)
def test_every_network_exports_and_compiles(bottom, head, funnel):
    check_exportable(partial(build, bottom=bottom, head=head), funnel=funnel)


def test_every_head_and_funnel_is_combined():
    assert set(HEADS.values()) == {part for part in rows.HEADS.values() if isinstance(part, type)}
    assert len(COMBINATIONS) == 2 * len(FUNNELS) + 3 * len(CHAINS) + 1
