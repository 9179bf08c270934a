"""The whole system on one machine: every process, in order."""
