"""Auto Scaling groups and their instances: capacity, lifecycle, health, activities, and the API of them."""
