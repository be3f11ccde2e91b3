"""Beside the flow: what a connect has to pass, who is connected, and how it ends."""
