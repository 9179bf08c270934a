"""`./hoop check`: the tools, and the rules of our own."""
