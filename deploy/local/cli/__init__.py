"""The command line `./hoop`."""
