"""The SQL of the read model, and a cache of it in each replica."""
