"""What readers get: site, PDF, EPUB, slides, notebooks for students."""
