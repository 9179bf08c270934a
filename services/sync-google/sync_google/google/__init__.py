"""Speaks to Google Calendar (v3): its calls, how its answers are read, what its refusals mean."""

from sync_google.google.calendar import Google, Page
from sync_google.google.oauth import oauth
from sync_google.google.reading import APPOINTMENT, CONNECTION, GENERATION, Event, item, says
