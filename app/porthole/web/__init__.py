"""Step 6: the pages in the browser. Static; their data comes from the HTTP API."""
