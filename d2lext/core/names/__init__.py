"""Names that a backend serves on demand: the chapters' and d2l's."""
