"""The catalogue, compiled: immutable values in, flat named arrays out."""
