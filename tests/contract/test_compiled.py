"""The network compiled by inductor, which takes a minute and a C++ compiler."""

import pytest
import torch

from mtl_seq import FeatureSpec, Funnel, models

pytestmark = [
    pytest.mark.slow,
    # Warnings of the compiler itself.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


def test_the_inductor_backend_gives_the_same_prediction():
    spec = FeatureSpec(ids={"user": 50, "item": 30}, dense=["price"], wide=["user", "price"])
    network = models.escm2_dr(spec, funnel=Funnel.chain("click", "order"), seed=0).network.eval()
    generator = torch.Generator().manual_seed(0)
    features = {
        "user": torch.randint(50, (256,), generator=generator),
        "item": torch.randint(30, (256,), generator=generator),
        "price": torch.randn(256, generator=generator),
    }
    with torch.no_grad():
        expected = network(features)
        result = torch.compile(network, fullgraph=True)(features)
    torch.compiler.reset()
    torch.testing.assert_close(result.pctcvr, expected.pctcvr, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(result.pcvr_logit, expected.pcvr_logit, rtol=1e-5, atol=1e-5)
