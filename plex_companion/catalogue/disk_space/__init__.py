"""What the libraries take up on the disk, and what of it could go."""
