"""The command line: arguments, verbs, `check`. Nothing else imports this room."""
