"""Measurements of speed and memory; `python build.py bench` runs them."""

NAMES = ("step", "peers", "epoch", "memory", "precision")
ALONE = ("gpu",)  # only if it is asked for
