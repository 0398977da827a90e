"""The doors that a charging process opens: network stands above charging in the imports, so they meet here.

A door is a function of `charging.server.doors.StartDoor`; it answers None for a tenant that did not declare it.
"""

from importlib import import_module

from millicent.charging.server.doors import StartDoor

# name -> "module:function"
DOORS: dict[str, str] = {
    "diameter": "millicent.network.diameter.starting:start_diameter",
    "radius": "millicent.network.radius.starting:start_radius",
    "http": "millicent.network.http.starting:start_http",
}


def load_doors(declared: dict[str, str] = DOORS) -> dict[str, StartDoor]:
    """Import the function of every door."""
    doors: dict[str, StartDoor] = {}
    for name, place in declared.items():
        module, _, function = place.partition(":")
        doors[name] = getattr(import_module(module), function)
    return doors
