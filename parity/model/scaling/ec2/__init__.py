"""EC2 beside the groups: instances, images, launch templates, networks, keys."""
