"""The environment that the book runs in: what it needs, and how that is installed.

Standard library only: it runs before anything is installed.
"""
