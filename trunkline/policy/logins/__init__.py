"""Who signs in at the console: names, passwords, second factors, bounds on guessing, lifetimes. Pure."""
