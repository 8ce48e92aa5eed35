"""`trunkline dev`: the whole stack on one machine, each part its own OS process."""
