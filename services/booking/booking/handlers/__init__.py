"""The commands and event handlers of booking: read, decide, commit, announce."""
