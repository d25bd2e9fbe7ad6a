#!/bin/sh
# What an instance does before its worker starts: put the code in place that is deployed at this moment, over what the
# image was built with. Without it an instance runs whatever revision its image has.
exec python3 /app/revision.py main
