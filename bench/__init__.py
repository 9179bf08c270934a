"""The benchmarks: ours and a baseline in turns, in one run on one machine, and the ratio of the two."""
