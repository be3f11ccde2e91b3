"""The lab: real guests under a private libvirtd, and the appliance in front, from one command.

It has two halves. :mod:`prepare` sets the machine up (as root if need be, with
the system's Python and nothing but its standard library) and makes one private
folder in /tmp. Then it gives up root and becomes :mod:`session`, which runs
everything as an ordinary user out of that folder, and takes it all down.
"""
