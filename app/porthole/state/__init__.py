"""Beside the flow: the store of issued tokens and ended sign-ins."""
