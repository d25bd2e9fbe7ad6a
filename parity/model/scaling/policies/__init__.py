"""What changes a group's size by itself: scaling policies, target tracking, scheduled actions."""
