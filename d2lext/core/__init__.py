"""What the four backends share: no module here imports a deep learning framework."""
