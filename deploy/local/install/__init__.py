"""The environment in `.venv`: what has to be installed for a command, and how. Standard library only."""
