"""What booking remembers: one function per question, plain SQL, every row under its account."""
