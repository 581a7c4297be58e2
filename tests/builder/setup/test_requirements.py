"""What pyproject.toml requires, and what constraints.txt pins."""

from shared import ROOT
from shared.machine import EVERYTHING

from builder.setup import requirements


def test_every_requirement_has_a_pin_within_its_range():
    for some in requirements.asked_for(["base", *EVERYTHING]):
        for requirement in some:
            name = requirement.partition(">")[0].partition("=")[0]
            have = {requirements.name_of(name): requirements.pin(name)}
            assert requirements._is_met(requirement, have), requirement


def test_constraints_are_plain_versions():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) == len({line.partition("==")[0] for line in pins})
    for pin in pins:
        name, version = pin.split("==")
        assert name == name.lower()
        assert version.replace("b", "").replace(".", "").isdigit(), pin
