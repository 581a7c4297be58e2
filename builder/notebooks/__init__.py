"""Each chapter's notebook in each framework: split, run, recorded, found stale."""
