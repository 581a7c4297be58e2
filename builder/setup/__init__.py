"""The environment that the book runs in: what it needs, and how it gets there."""
