-- What the worker writes. Each run works in a database made from a template with these tables.

-- A job is here once its effect is committed: the key makes a second delivery do nothing.
CREATE TABLE done (
    job_id text PRIMARY KEY
);

-- One row for each time a job took effect. No key on the job: a worker that is not idempotent must be seen to be.
CREATE TABLE effects (
    job_id text NOT NULL,
    worker text NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
