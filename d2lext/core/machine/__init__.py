"""The machine: its processor, its memory, its standard error."""
