"""Simulators of other people's services: real HTTP (and SMTP) servers that are strict, go wrong on demand and remember what they were asked.

In a test:  `async with simulators.zoom.serve(port=0, daily_limit=100) as sim: … sim.url …`
As a process of its own:  `python -m simulators zoom --port 8100 --set daily_limit=100`
"""

from simulators import google, mail, zoom

__all__ = ["google", "mail", "zoom"]
