"""The API's OpenAPI 3.1 document, generated from the route tables, and a page to read it."""
