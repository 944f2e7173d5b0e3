"""What is inside an image, and which advisories match it. A library, and a command: `wharfinger scan`."""
