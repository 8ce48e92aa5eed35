"""The processes of Trunkline. They never import each other: they meet in `trunkline.bus`."""
