"""Desired states of external objects, and the workers that make providers agree with them."""
