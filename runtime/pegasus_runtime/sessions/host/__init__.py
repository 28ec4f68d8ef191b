"""The device that is this computer."""
