"""Diameter Gy/Ro (RFC 6733, RFC 8506, TS 32.299): the door through which gateways and switches ask for units."""
