"""The rules: what to write into Google, which foreign events block time, which errors there are."""
