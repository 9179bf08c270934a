"""The demo account and the demonstration of `./hoop up`."""
