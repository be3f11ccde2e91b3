"""Steps 7 and 8: WebSocket upgrades, and the relay between browser and VNC server. Knows no libvirt."""
