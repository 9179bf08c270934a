"""What notifications decides: who gets which message, once, and when; and how a message is built."""
