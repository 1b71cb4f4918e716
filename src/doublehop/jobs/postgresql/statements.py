"""What is said to Procrastinate's tables beyond its own functions. Two guards of its schema carry all of it: one waiting
job for each queueing lock, one running job for each lock. Both locks are our key.

A lane is a queue; urgent jobs of a lane have a queue of their own, so that its kept place can be told from the others.
Only what is still this worker's is ended: one that was taken for dead may wake up after another has taken over.
"""

URGENT_MARK = "!"
TICK_MARK = "tick:"
"""Lanes of periodics begin with it: they have places of their own. Both marks stand in the statements as they are."""

# A waiting job is only brought forward; one that is rung while it runs stays as urgent as it is. No time means: at once, by
# whatever clock. Who sleeps hears of new rows by a trigger of Procrastinate's, and of changed ones from here.
RING = """
WITH running AS (
    SELECT COALESCE(max(priority), 0) AS priority FROM procrastinate_jobs WHERE lock = %(key)s AND status = 'doing'
), rung AS (
    INSERT INTO procrastinate_jobs AS job
        (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
    SELECT %(lane)s || CASE WHEN GREATEST(%(priority)s, priority) > 0 THEN '!' ELSE '' END,
        %(name)s, GREATEST(%(priority)s, priority), %(key)s, %(key)s, %(payload)s::jsonb, %(at)s
    FROM running
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET
        priority = GREATEST(job.priority, EXCLUDED.priority),
        queue_name = job.queue_name
            || CASE WHEN EXCLUDED.priority > 0 AND job.priority = 0 THEN '!' ELSE '' END,
        scheduled_at = CASE WHEN job.scheduled_at IS NOT NULL AND EXCLUDED.scheduled_at IS NOT NULL
            THEN LEAST(job.scheduled_at, EXCLUDED.scheduled_at) END
    RETURNING id, xmax <> 0 AS waited
)
SELECT pg_notify('procrastinate_any_queue_v1', json_build_object('type', 'job_inserted', 'job_id', id)::text)
FROM rung WHERE waited
"""
RING_IF_NOT_THERE = """
INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
SELECT %(lane)s || CASE WHEN %(priority)s > 0 THEN '!' ELSE '' END,
    %(name)s, %(priority)s, %(key)s, %(key)s, %(payload)s::jsonb, %(at)s
WHERE NOT EXISTS (SELECT FROM procrastinate_jobs WHERE lock = %(key)s AND status = 'doing')
ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING
"""
RUNG = """
SELECT lock FROM procrastinate_jobs WHERE lock = ANY (%(keys)s::text[]) AND status IN ('todo', 'doing')
"""
WAITING = """
SELECT count(*) FROM procrastinate_jobs
WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now()) AND queue_name NOT LIKE 'tick:%%'
"""
FINISH = """
DELETE FROM procrastinate_jobs
WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker_id)s
"""
# Rung while it ran and failed: the new ring stands, soon. Otherwise the job itself waits.
POSTPONE = """
WITH mine AS (
    SELECT id, queueing_lock FROM procrastinate_jobs
    WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker_id)s FOR UPDATE
), rung AS (
    UPDATE procrastinate_jobs AS job
    SET attempts = %(attempts)s, scheduled_at = now() + %(soon)s * interval '1 second'
    FROM mine WHERE job.status = 'todo' AND job.queueing_lock = mine.queueing_lock
    RETURNING job.id
), gone AS (
    DELETE FROM procrastinate_jobs AS job USING mine WHERE job.id = mine.id AND EXISTS (SELECT FROM rung)
)
UPDATE procrastinate_jobs AS job
SET status = 'todo', worker_id = NULL, attempts = %(attempts)s,
    scheduled_at = now() + %(pause)s * interval '1 second'
FROM mine WHERE job.id = mine.id AND NOT EXISTS (SELECT FROM rung)
"""
# Of a worker that gives no sign of life, or that said it leaves: at once, whatever was planned for the key.
RESCUE = """
WITH lost AS (
    SELECT job.id, job.queueing_lock FROM procrastinate_jobs AS job
    LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id
    WHERE job.status = 'doing'
        AND (worker.id IS NULL OR worker.last_heartbeat < now() - %(silent)s * interval '1 second')
    FOR UPDATE OF job SKIP LOCKED
), rung AS (
    UPDATE procrastinate_jobs AS job SET scheduled_at = NULL
    FROM lost WHERE job.status = 'todo' AND job.queueing_lock = lost.queueing_lock
    RETURNING job.queueing_lock
), gone AS (
    DELETE FROM procrastinate_jobs AS job USING lost
    WHERE job.id = lost.id AND lost.queueing_lock IN (SELECT queueing_lock FROM rung)
), freed AS (
    UPDATE procrastinate_jobs AS job SET status = 'todo', worker_id = NULL, scheduled_at = NULL
    FROM lost WHERE job.id = lost.id AND lost.queueing_lock NOT IN (SELECT queueing_lock FROM rung)
)
SELECT queueing_lock,
    pg_notify('procrastinate_any_queue_v1', json_build_object('type', 'job_inserted', 'job_id', id)::text)
FROM lost
"""
# Queues with something due, but not the full ones; only those of periodics when every thread is taken.
OPEN_QUEUES = """
SELECT DISTINCT queue_name FROM procrastinate_jobs
WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
    AND queue_name <> ALL (%(closed)s::varchar[])
    AND (queue_name LIKE 'tick:%%' OR NOT %(full)s)
"""
NEXT_DUE = """
SELECT EXTRACT(EPOCH FROM min(scheduled_at) - now())::float AS seconds FROM procrastinate_jobs
WHERE status = 'todo' AND scheduled_at > now()
"""
