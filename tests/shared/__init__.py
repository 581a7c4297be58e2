"""What several tests use: a small book, a trainer without a framework, networks."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
