"""The API's document (OpenAPI 3.1), made of the route tables and nothing else, and a page to read it."""

from shared.http.openapi.document import document
from shared.http.openapi.page import page
