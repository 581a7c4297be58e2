"""What authors write: chapters, the book they make up, its settings."""
