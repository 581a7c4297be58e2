"""Each chapter's notebook in each framework: split, run, recorded, checked for staleness."""
