"""The notifications service's HTTP API: `/calendars/{calendarId}/notifications`."""
