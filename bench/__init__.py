"""The relay against its peers: what script/bench does. docs/explanation/performance.md says what and how."""
