"""A service is a value; a process runs one, or several composed."""

from shared.service.process import collect_less, main, run, settings_of
from shared.service.runtime import Command, Part, Runtime, Service, opened
from shared.service.serving import serve
