"""Each chapter's notebook in each framework: split, run, recorded, marked stale."""
