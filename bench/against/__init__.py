"""Two commits in turns in one run: this working tree and an older commit."""
