"""Step 4, and again in step 7: the signed token of a console, nova-consoleauth's job."""
