"""The command line and its files: what is here may print, and may need pandas."""
