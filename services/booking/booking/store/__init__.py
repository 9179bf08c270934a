"""The SQL of booking: plain statements, one function each, every row under its account."""
