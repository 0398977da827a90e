"""Pure decisions of charging: no framework, no input or output."""
