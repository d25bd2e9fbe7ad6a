"""The simulator: scenarios run on models in virtual time, with every choice drawn from a tape."""
