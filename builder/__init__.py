"""Turns chapters into notebooks, and notebooks into everything that readers get."""
