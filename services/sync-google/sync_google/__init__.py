"""The service sync-google: appointments in Google Calendar, and busy times from Google Calendar."""
