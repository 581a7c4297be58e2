"""Names that a backend provides on demand: the chapters' and d2l's."""
