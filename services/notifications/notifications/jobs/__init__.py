"""The background work: delivering mails."""
