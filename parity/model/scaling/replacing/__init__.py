"""What has instances replaced: refreshes, warm pools, lifetimes, maintenance policies, spot notices."""
