"""Two accounts with one of everything, and valid requests about it, for every operation there is."""
