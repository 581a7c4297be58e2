"""Carries edits made in notebooks back to their chapters."""
