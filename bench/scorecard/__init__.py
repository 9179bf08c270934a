"""The scorecard: ours and a floor in turns, in one run on one machine, and the ratio of the two."""
