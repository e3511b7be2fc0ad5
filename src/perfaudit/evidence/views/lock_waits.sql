-- One wait for a lock: from the database log (whole waits, longer than deadlock_timeout) or sampled from session snapshots
-- (a wait in progress; `duration_us` is its age at the snapshot).
SELECT
    'log' AS seen_by,                           -- log: a whole wait; sample: a wait in progress at a snapshot
    time,                                       -- when the wait began
    duration_us,                                -- how long it lasted (log) or had lasted (sample), µs
    CASE WHEN lock_target IN ('transaction', 'tuple') THEN 'row'
         WHEN lock_target = 'relation' THEN 'table'
         ELSE 'other' END AS lock_class,        -- row, table or other
    lock_target,                                -- transaction, tuple, relation, …
    lock_mode,                                  -- the mode that was asked for
    object,                                     -- relation, where known
    fingerprint, statement,                     -- the waiting statement
    pid,                                        -- the waiting session
    holders,                                    -- pids that held the lock
    holder_statement,                           -- a blocker's statement, where the log tells it
    time AS seen                                -- when it was seen
FROM lock_events
WHERE kind IN ('lock-wait', 'lock-timeout')
UNION ALL
SELECT
    'sample', time - to_microseconds(coalesce(query_age_us, 0)), coalesce(query_age_us, 0),
    CASE WHEN wait_event IN ('transactionid', 'tuple') THEN 'row'
         WHEN wait_event = 'relation' THEN 'table'
         ELSE 'other' END,
    CASE wait_event WHEN 'transactionid' THEN 'transaction' ELSE wait_event END, NULL, NULL,
    fingerprint, statement, pid, blocked_by, NULL, time
FROM sessions
WHERE wait_type = 'Lock'
