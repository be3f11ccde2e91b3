"""Porthole: the consoles of OpenStack Nova and libvirt instances in the browser.

The packages are the steps a console request goes through, in this order:
``api`` (the request), ``auth`` (who, and may they), ``compute`` (where the
instance's VNC server is), ``consoleauth`` (the token), ``proxy`` (the check at
connect, and the relay), ``web`` (the pages). ``sessions`` joins the steps of a
connect and knows who is connected; ``state`` is the store.
"""

__version__ = "0.1.0"
