"""The events of Hoop: contracts and codec, for our services and for subscribers outside."""
