"""What is sent through a relay: a VNC server of ours behind it, and a WebSocket client before it."""
