"""What travels (frozen pydantic messages) and what is stored (SQLModel tables). No I/O, no framework beyond those."""
