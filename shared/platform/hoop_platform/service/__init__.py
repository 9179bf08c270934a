"""A service is a value; a process runs one, or several composed."""
