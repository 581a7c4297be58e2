"""A chapter's notebook for each framework: split, recorded, found stale."""
