"""The command line: its verbs, what each needs, and what it does."""
