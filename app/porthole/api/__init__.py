"""Step 1: the HTTP API, Nova's calls and our own; also step 5, the URL that goes back."""
