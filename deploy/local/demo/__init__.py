"""The demo account and the demonstration that `./hoop up` shows."""
