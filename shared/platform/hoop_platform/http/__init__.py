"""HTTP: routes as values, requests parsed and checked at the edge, responses and errors as JSON."""
