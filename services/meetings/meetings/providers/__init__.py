"""The adapters, one for each provider of online meetings."""
