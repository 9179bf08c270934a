"""The notifications service's SQL: projections, settings, threads and messages."""
