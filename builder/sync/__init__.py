"""Edits made in notebooks, brought back to their chapters."""
