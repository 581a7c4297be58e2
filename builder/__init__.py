"""From a chapter to its notebooks and to everything that readers get."""
