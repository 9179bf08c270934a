"""The API's document (OpenAPI 3.1), made of the route tables and nothing else, and a page to read it."""
