"""Speaks to Zoom: its authorization server, and its REST API for meetings."""

from meetings.zoom.adapter import Zoom, mark, oauth
