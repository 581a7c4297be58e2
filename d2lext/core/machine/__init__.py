"""What the library asks of the machine: processor, memory, standard error."""
