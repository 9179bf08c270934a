"""What booking does: one function for each command and each event it follows."""
