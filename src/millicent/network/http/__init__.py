"""HTTP: charging for applications and switches that speak neither Diameter nor RADIUS."""
