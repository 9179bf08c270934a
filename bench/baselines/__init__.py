"""The least work that gives the same result, measured beside ours in the same run."""
