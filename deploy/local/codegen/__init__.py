"""Files that are written from the code: each has a check that it is not stale."""
