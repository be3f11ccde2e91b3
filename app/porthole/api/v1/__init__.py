"""The service's own API: plain calls without headers, problems of RFC 9457."""
