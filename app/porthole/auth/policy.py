"""What a principal may do: Nova's rule names and defaults, and rules of one's own in a file.

The rules are in ``policy_rules``, their language in ``policy_checks``, the file in ``policy_file``, the decisions in
``policy_engine``.
"""

from porthole.auth.errors import Forbidden
from porthole.auth.policy_engine import Owned, Policy
from porthole.auth.policy_file import PolicyFileError
from porthole.auth.policy_rules import Action, sample

__all__ = ["Action", "Forbidden", "Owned", "Policy", "PolicyFileError", "sample"]
