"""Two accounts with one of everything, and valid requests about it, for every operation there is."""

from tenants.bodies import BODIES, QUERIES, Ids
from tenants.places import PLACES, ROUTES, Place, operation
from tenants.worlds import Worlds, asked, told, worlds
