"""HTTP: routes as values, requests parsed and checked at the edge, every answer and refusal as JSON."""

from shared.http.app import application
from shared.http.door import Door
from shared.http.parse import Body, Instant, OneLine, Query, Text
from shared.http.route import Answer, Call, Reply, Route
from shared.http.server import listen
