"""What script/bundle does: wheels and noVNC for this machine's distribution and Python, in one archive.

A host installs the archive without a network, a compiler or an index.
"""
