"""The rules of booking: pure decisions on a snapshot, which the store then commits."""
