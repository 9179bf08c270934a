"""The checks of `./hoop check`: the tools, and this repository's own rules."""
