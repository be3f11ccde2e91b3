"""What script/lab and script/test need on the machine: Debian packages, a virtual environment, noVNC.

Standard library only: it runs before anything is installed. Every part knows
whether it is already there, so that a second run does nothing.
"""
