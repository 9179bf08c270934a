"""What a run found: rows, paired ratios, the table, the JSON file, progress."""
