"""Every setting, with Nova's groups and names where Nova has them.

:func:`load` reads the files and returns a frozen :class:`Settings`, or raises
:class:`ConfigError` with the file, the option and what would be right. No other
package reads a configuration file or keeps settings in a global.
"""

from porthole.config.changes import changes, contents, kept
from porthole.config.keystone import KeystoneSettings
from porthole.config.options import API_OPTS
from porthole.config.reader import load
from porthole.config.sample import sample
from porthole.config.settings import (
    AuthScheme,
    AuthStrategy,
    ComputeSettings,
    ConfigError,
    Settings,
    TokenAuthority,
)

__all__ = [
    "API_OPTS", "AuthScheme", "AuthStrategy", "ComputeSettings", "ConfigError", "KeystoneSettings", "Settings",
    "TokenAuthority", "changes", "contents", "kept", "load", "sample",
]  # fmt: skip
