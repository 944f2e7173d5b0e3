"""The command line, one file per noun, and the servers that `wharfinger up` runs on one machine."""
