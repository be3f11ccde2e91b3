"""Step 2: who is asking, and may they."""
