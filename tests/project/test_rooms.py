"""Imports run one way, in no circle, and as CONTRIBUTING.md draws them."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import rooms


def test_no_import_points_upward_or_runs_in_a_circle(root):
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_pictures_are_those_of_the_code(root):
    text = (root / "CONTRIBUTING.md").read_text("utf-8")
    assert text == rooms.drawn(text), "python tests/project/rooms.py draws them"
