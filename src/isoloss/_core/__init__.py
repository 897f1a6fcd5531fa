"""Array checks, random streams, serialisation and files: no domain knowledge."""
