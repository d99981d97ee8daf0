"""benchmarks/performance/training.py: that it compares like with like, and what its tables make of figures."""

import importlib
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"
SIZES = {"a": 9, "b": 7}
BATCH = 8


@pytest.fixture
def bench(monkeypatch):
    """A module of the benchmark by name; the peers need not be installed."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def work(bench):
    return bench("speed_work").draw(3 * BATCH, BATCH, SIZES)


def test_the_hand_written_network_is_ours_with_the_same_weights(bench, work):
    modules = bench("speed_work")
    ours = modules.build("ESMM on MMoE", SIZES)
    hand = modules.ByHand(SIZES)
    network = ours.network
    table = network.embedding.lookup.tables["16"].weight
    with torch.no_grad():
        for rows, own in zip(table.split(list(SIZES.values())), hand.tables.values(), strict=True):
            own.weight.copy_(rows)
        for mine, theirs in zip(network.bottom.experts, hand.experts, strict=True):
            copy(mine.layers, theirs)
        for gate, rows in zip(hand.gates, network.bottom.gate.weight.chunk(2), strict=True):
            gate.weight.copy_(rows)
            gate.bias.zero_()
        for mine, theirs in zip(network.head.towers, hand.towers, strict=True):
            copy(mine.stack.layers, theirs[0])
            copy([mine.logit], [theirs[1]])
    prediction = ours(work.ids)
    pctr, pctcvr = hand(work.ids)
    torch.testing.assert_close(pctr, prediction.pctr, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(pctcvr, prediction.pctcvr, rtol=1e-5, atol=1e-6)
    batch = work.as_batch()
    total = ours.objective.total(prediction, batch.labels)
    torch.testing.assert_close(
        hand.loss(work.ids, work.click, work.conversion), total, rtol=1e-5, atol=1e-6
    )


def copy(layers, target):
    linear = [layer for layer in target if isinstance(layer, torch.nn.Linear)]
    for one, other in zip(layers, linear, strict=True):
        other.weight.copy_(one.weight)
        other.bias.copy_(one.bias)


@pytest.mark.parametrize("model", ["MMoE", "ESMM", "ESMM on MMoE"])
def test_the_floor_has_the_matrix_products_of_the_network(bench, work, model):
    modules = bench("speed_work")
    floor = modules.Floor(model, work, torch.float32)
    built = modules.build(model, SIZES)
    shapes = sorted(tuple(weight.shape) for _, weight, _ in floor.operands)
    assert shapes == sorted(
        tuple(m.weight.shape) for m in built.modules() if isinstance(m, torch.nn.Linear)
    )
    before = floor.table.clone()
    floor.step()
    assert ((floor.table != before).any(1).nonzero().squeeze(1)).numel() <= len(floor.rows)


def test_every_way_of_ours_does_every_task_and_learns(bench, work):
    cases = bench("speed_cases")
    for how in cases.OURS.values():
        case = cases.Ours("ESMM on MMoE", work, SIZES, how, "cpu")
        before = [p.detach().clone() for p in case.model.parameters()]
        for method in cases.TASKS.values():
            getattr(case, method)()
        after = list(case.model.parameters())
        assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_parts_of_a_step_are_those_of_a_step(bench, work):
    """Part by part and in one, a step ends at the same weights."""
    cases, parted = bench("speed_cases"), bench("speed_parts")
    one = cases.Ours("MMoE", work, SIZES, cases.OURS[cases.FLOAT32], "cpu")
    other = cases.Ours("MMoE", work, SIZES, cases.OURS[cases.FLOAT32], "cpu")
    found = {name: [] for name in parted.PARTS}

    class First:
        def take(self, _):
            return one.batch

    one.step()
    with parted.table_gradients(other.model, other.optimizer_factory):
        parted.step(other, First(), found)
    assert all(len(took) == 1 for took in found.values())
    for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-7)


def test_without_a_gpu_the_command_says_so(bench, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    given = bench("speed").parse(["--device", "cuda", "--batch", "65536"])
    assert "NOT RUN ON A GPU" in capsys.readouterr().out
    assert (given.device, given.small) == ("cpu", True)


def content():
    """Two models, one thread: peers take 10 and 12 s, ours 1 s, of which .9 s are steps."""
    seconds = {
        "training, end to end": {
            "torch-rechub": 10.0,
            "deepctr-torch": 12.0,
            "mtl_seq, float32": 1,
        },
        "training, bare steps": {"floor, float32": 0.08, "mtl_seq, float32": 0.1},
    }
    measured = [
        {
            "model": "ESMM",
            "threads": 1,
            "batch": 10,
            "rows": 90,
            "task": task,
            "who": who,
            "seconds": took,
            "quartiles": [took, took],
        }
        for task, found in seconds.items()
        for who, took in found.items()
    ]
    measured += [m | {"who": "mtl_seq, bfloat16"} for m in measured if "mtl" in m["who"]]
    measured += [m | {"who": "floor, bfloat16"} for m in measured if m["who"] == "floor, float32"]
    return {
        "measured": measured,
        "memory, MB": {"ESMM": {"torch-rechub": 5, "deepctr-torch": 6, "mtl_seq, float32": 4}},
        "import, seconds": {"before": 1.0, "after": 1.7},
    }


def test_goals_are_ratios_of_medians_to_the_faster_peer(bench):
    goals = {g["goal"]: g for g in bench("speed_page").goals(content(), 1)}
    first = goals["ESMM, training, end to end: mtl_seq, float32 over the faster peer"]
    assert (first["found"], first["reached"]) == (10.0, True)
    second = goals["ESMM, training, end to end: mtl_seq, bfloat16 over the faster peer"]
    assert (second["found"], second["reached"]) == (10.0, False)
    floor = goals["ESMM: floor over a training step, mtl_seq, float32"]
    assert (floor["found"], floor["reached"]) == (0.8, False)
    trainer = goals["ESMM: trainer and loader over bare steps, mtl_seq, float32"]
    assert (trainer["found"], trainer["reached"]) == (pytest.approx(0.111), False)
    held = goals["ESMM: peak memory of mtl_seq, float32, MB"]
    assert (held["target"], held["reached"]) == ("<= 5", True)
    cost = goals["import mtl_seq beyond torch, pandas and torchmetrics, s"]
    assert (cost["found"], cost["reached"]) == (0.7, False)


def test_a_kept_result_becomes_a_page_and_a_chart(bench, tmp_path):
    markdown = bench("speed_markdown")
    whole = content() | {
        "command": "python benchmarks/performance/training.py",
        "processor": "one",
        "versions": "torch 2",
        "parts, seconds": {"ESMM, float32": {"embedding": 0.001, "backward": 0.0025}},
    }
    found = markdown.figures({"speed": whole, "speed_quality": None})
    assert "| torch-rechub | 10000.0 |" in found["milliseconds"]
    assert "| together | 3.5 |" in found["parts"]
    assert "| ESMM | 5 | 6 | 4 |" in found["memory"]
    assert "| >= 12.0 | 10.0 | **no** |" in found["goals"]
    bench("speed_page").draw_chart(whole, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
