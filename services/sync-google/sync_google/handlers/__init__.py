"""What happens in one database transaction: for an event, a changed connection, a finished listing."""
