"""Named models: builders that compose a bottom, a head and an objective.

Every builder is ``build(spec, *, funnel, bottom, seed, ...) -> FunnelModel``. These arguments mean
the same in all builders that have them; a builder documents the others, and what it restricts:

* `spec`: The features.
* `funnel`: The stages; by default click and conversion.
* `bottom`: Builds the bottom, or in a model with separate networks the bottom of each: a class of
  `mtl_seq.nn`, or a partial of one for other sizes, such as ``partial(nn.MMoE, experts=8)``.
* `head`: Builds the head: the default's class or a partial of it.
* ``<loss>_weight``: Weight of that loss in the sum of the losses.
* `propensity`: Source, floor and normalisation of the propensities; None for the loss's default.
* `seed`: Seed of the initial weights, and of the draws of a loss that samples rows.

On a funnel of three or more stages a model with losses for CTR and CVR also has those of `esmm` for
the stages between, named by stage.
"""

from mtl_seq.models.aitm import aitm
from mtl_seq.models.aman import aman
from mtl_seq.models.base import CLICK_CONVERSION, Builder, FunnelModel, assemble
from mtl_seq.models.chorus_cvr import chorus_cvr
from mtl_seq.models.click_space import click_space
from mtl_seq.models.dbmtl import dbmtl
from mtl_seq.models.dcmt import dcmt
from mtl_seq.models.ddpo import ddpo
from mtl_seq.models.division import division
from mtl_seq.models.escm2 import escm2_dr, escm2_ips
from mtl_seq.models.esm2 import CLICK_ACTION_PURCHASE, esm2
from mtl_seq.models.esmm import esmm
from mtl_seq.models.esmm_dependent import esmm_dependent
from mtl_seq.models.esmm_gaussian import esmm_gaussian
from mtl_seq.models.esmm_ns import esmm_ns
from mtl_seq.models.ips import ips, multi_ipw, snips
from mtl_seq.models.joint_learning import dr_bias, dr_jl, dr_mse, mrdr, sn_dr
from mtl_seq.models.multi_dr import multi_dr
from mtl_seq.models.multitask import mmoe, multitask, omoe, ple, shared_bottom, single_task
from mtl_seq.models.nise import nise
from mtl_seq.models.oracle import oracle
from mtl_seq.models.oversampling import oversampling
from mtl_seq.models.pairwise_ranker import lambda_ranker, pairwise_ranker
from mtl_seq.models.policies import CalibrationConfig, DependenceConfig, Schedule
from mtl_seq.models.reweighted import reweighted
from mtl_seq.models.search_space import Choice, Range, SearchSpace
from mtl_seq.models.targeted import targeted
from mtl_seq.models.unbias import unbias

__all__ = [
    "CLICK_ACTION_PURCHASE",
    "CLICK_CONVERSION",
    "Builder",
    "CalibrationConfig",
    "Choice",
    "DependenceConfig",
    "FunnelModel",
    "Range",
    "Schedule",
    "SearchSpace",
    "aitm",
    "aman",
    "assemble",
    "chorus_cvr",
    "click_space",
    "dbmtl",
    "dcmt",
    "ddpo",
    "division",
    "dr_bias",
    "dr_jl",
    "dr_mse",
    "escm2_dr",
    "escm2_ips",
    "esm2",
    "esmm",
    "esmm_dependent",
    "esmm_gaussian",
    "esmm_ns",
    "ips",
    "lambda_ranker",
    "mmoe",
    "mrdr",
    "multi_dr",
    "multi_ipw",
    "multitask",
    "nise",
    "omoe",
    "oracle",
    "oversampling",
    "pairwise_ranker",
    "ple",
    "reweighted",
    "shared_bottom",
    "single_task",
    "sn_dr",
    "snips",
    "targeted",
    "unbias",
]


def __dir__() -> list[str]:
    return __all__
