"""HTTP: routes as values, requests parsed and checked at the edge, every answer and refusal as JSON."""
