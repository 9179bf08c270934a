"""The rules of booking: pure decisions on what was read, for the store to write down."""
