"""What is measured: servers and services that the benchmarks start and stop, and their CPU time."""
