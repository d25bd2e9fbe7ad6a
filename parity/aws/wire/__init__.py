"""Requests as they come and answers as they go, made from botocore's service models.

`requests` tells what is asked and in which protocol; `form`, `documents` and `cbor` read it, `checks` holds it against
the model's constraints, `xml` and `documents` write answers, `errors` writes refusals. Times are microseconds since
1970 within.
"""
