"""Nova's compute API, as far as consoles need it: same addresses, bodies, codes and microversions."""
