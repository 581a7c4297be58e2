"""What an author writes: chapters, the book that they make, its settings."""
