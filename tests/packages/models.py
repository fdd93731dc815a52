"""Empty, but it must be there: Django makes tables for apps that have such a file."""
