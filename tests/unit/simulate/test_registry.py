"""Scenarios from names and files; a bad file says on which line."""

import json
import pickle
import re

import numpy as np
import pytest

from mtl_seq.errors import SimulationError
from mtl_seq.simulate import Actions, Delay, LogisticFunnel, ParameterError, scenario, scenarios
from mtl_seq.simulate.scenario_file import line_of

HEAD = 'version = 1\nsummary = "A scenario of my own."\n\n[parameters]\nusers = 60\nitems = 40\n'


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_a_scenario(tmp_path):
    path = written(
        tmp_path,
        HEAD + 'rho = 0.8\ndays = 7\nseed = 3\nhidden_from = { conversion = ["user_id"] }\n'
        "[parameters.delay]\nmean = 2.5\n[parameters.actions]\nnames = ['cart']\n",
    )
    expected = LogisticFunnel(
        users=60,
        items=40,
        rho=0.8,
        days=7,
        seed=3,
        hidden_from={"conversion": ["user_id"]},
        delay=Delay(mean=2.5),
        actions=Actions(("cart",)),
    )
    assert scenario(path) == expected
    assert scenario(str(path)) == expected
    assert scenario(path, seed=4).seed == 4


def test_parameters_are_set_otherwise_one_by_one_or_by_the_group(tmp_path):
    path = written(tmp_path, HEAD + "days = 7\n[parameters.delay]\nmean = 2.5\nwindow = 3.0\n")
    assert scenario(path, **{"delay.mean": 1.0}).delay == Delay(mean=1.0, window=3.0)
    assert scenario(path, delay={"mean": 1.0}).delay == Delay(mean=1.0)
    assert scenario(path, delay=Delay(slope=0.3)).delay == Delay(slope=0.3)
    assert scenario(path, delay=None).delay is None
    assert scenario(path, delay=Delay(slope=0.3), **{"delay.mean": 9.0}).delay.slope == 0.3
    plain = scenario("clean", days=3, **{"delay.mean": 1.0})
    assert plain.delay == Delay(mean=1.0)


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("rho = 1.5", 7, "`rho` must lie in [-1, 1], found 1.5"),
        ("# more\n\nrho = 'high'", 9, "`rho` must be a number, found 'high'"),
        ("tempo = 3", 7, "no parameter 'tempo': known are users, items"),
        ("days = 7\n\n[parameters.delay]\nmean = 0.0", 10, "`delay.mean` must lie in (0, 1000]"),
        (
            "days = 7\n[parameters.delay]\npace = 2",
            9,
            "no parameter 'pace' of delay: known are mean, slope",
        ),
        ("days = 7\ndelay = { mean = -1.0 }", 8, "`delay.mean` must lie in"),
        ("days = 7\ndelay.mean = -1.0", 8, "`delay.mean` must lie in"),
        (
            "[parameters.delay]\nmean = 2.0",
            7,
            "`days` must be at least 1 in a scenario with a `delay`",
        ),
        ("days = 7\ndrift = 3", 8, "`drift` must be a `simulate.Drift` or None, found 3"),
        ("[parameters.actions]\nrates = [0.1]\nrequired = true", None, "`cvr` can be at most 0.1"),
        (
            "cvr = 0.3\n[parameters.actions]\nrates = [0.1]\nrequired = true",
            7,
            "`cvr` can be at most",
        ),
        ("[parameters.hidden_from]\nconversion = ['mood']", 7, "found 'mood'"),
    ],
)
def test_the_line_at_fault_is_named(tmp_path, body, line, message):
    path = written(tmp_path, HEAD + body)
    where = f"{path}, line {line}: " if line else f"{path}: "
    with pytest.raises(SimulationError, match=re.escape(where) + ".*" + re.escape(message)):
        scenario(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 1\nsummary = \n", r"must be TOML, found: .*line 2"),
        ("version = 1\nsummary = 'x'\nrho = 3", "line 3: no key 'rho'.*parameters belong below"),
        ("summary = 'x'", ": `version` must be a whole number from 1.*found None"),
        ("version = 0\nsummary = 'x'", "line 1: `version` must be"),
        ("version = 1", "`summary` must be one line of text, found None"),
        ("version = 1\nsummary = 3", "line 2: `summary` must be one line"),
        ("version = 1\nsummary = 'x'\nparameters = 3", "line 3: `parameters` must be a table"),
    ],
)
def test_an_invalid_file_is_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(SimulationError, match=message):
        scenario(written(tmp_path, text))


def test_what_is_set_otherwise_is_not_the_files_fault(tmp_path):
    path = written(tmp_path, HEAD + "rho = 0.5\n")
    for parameters in ({"rho": 2.0}, {"delay": {"mean": 0.0}, "days": 3}, {"delay.mean": 0.0}):
        with pytest.raises(ParameterError) as caught:
            scenario(path, **parameters)
        assert "line" not in str(caught.value)


def test_unknown_names_and_parameters_list_the_known(tmp_path):
    with pytest.raises(SimulationError, match=r"known are aliccp, clean.*must end in \.toml"):
        scenario("murky")
    with pytest.raises(SimulationError, match=r"no scenario file .*absent\.toml"):
        scenario(tmp_path / "absent.toml")
    with pytest.raises(SimulationError, match="no parameter 'tempo': known are users"):
        scenario("dense", tempo=3)
    with pytest.raises(SimulationError, match="no parameter 'pace' of delay"):
        scenario("delayed", **{"delay.pace": 3})
    with pytest.raises(SimulationError, match=r"no parameter 'rho\.x'"):
        scenario("dense", **{"rho.x": 3})


@pytest.mark.parametrize("name", [n for n in scenarios() if n != "aliccp"])
def test_parameters_make_the_same_scenario_again(name):
    simulator = scenario(name, seed=1)
    parameters = json.loads(json.dumps(simulator.parameters))
    assert scenario("clean", **parameters) == simulator
    assert pickle.loads(pickle.dumps(simulator)) == simulator


def test_a_pickled_scenario_draws_the_same():
    simulator = scenario("clean")
    again = pickle.loads(pickle.dumps(simulator))
    for log, other in zip(
        simulator.sample(500, np.random.default_rng(1)),
        again.sample(500, np.random.default_rng(1)),
        strict=True,
    ):
        assert str(log) == str(other)


def test_a_line_is_found_by_its_key():
    text = '[parameters]\n"rho" = 1\ndelay.mean = 3\n[ parameters.drift ]\nclick = 2\n'
    assert line_of(text, ("parameters", "rho")) == 2
    assert line_of(text, ("parameters", "delay", "mean")) == 3
    assert line_of(text, ("parameters", "drift", "click")) == 5
    assert line_of(text, ("parameters", "drift", "turn")) == 4
    assert line_of(text, ("parameters", "days")) is None
    assert line_of(text, ("parameters",)) == 1
