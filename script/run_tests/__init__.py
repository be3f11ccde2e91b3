"""What script/test does: install what the tests need, say what they need besides, run them, sum up."""
