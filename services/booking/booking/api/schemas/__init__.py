"""The bodies, queries and responses of the operations: names, types and bounds as clients know them."""
