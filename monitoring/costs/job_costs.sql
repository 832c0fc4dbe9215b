-- What each job cost by our own price list, for Looker Studio: one row for each job and submission that has ended, from
-- the log lines job.succeeded, job.failed, job.dead_lettered and job.cancelled, priced with the list that held on that
-- day (else the nearest; of several of one day the dearest). Lists are told apart by day and machine alone: the table
-- `prices` is of one deployment. `usd` is recomputed here; `logged_usd` is what the line said; `other_usd` what each
-- machine's seconds would have cost the other way. A redriven job's submissions add up to what the API shows.
CREATE OR REPLACE VIEW `$DATASET.job_costs` AS
WITH told AS (
  SELECT
    timestamp AS ended_at,
    JSON_VALUE(json_payload, '$$.job_id') AS job_id,
    CAST(COALESCE(JSON_VALUE(labels, '$$.submission'), JSON_VALUE(json_payload, '$$.submission')) AS INT64) AS submission,
    CAST(COALESCE(JSON_VALUE(labels, '$$.attempt'), JSON_VALUE(json_payload, '$$.attempt')) AS INT64) AS attempts,
    REPLACE(JSON_VALUE(json_payload, '$$.event'), 'job.', '') AS state,
    JSON_VALUE(json_payload, '$$.code') AS code,
    CAST(JSON_VALUE(json_payload, '$$.processingTime') AS FLOAT64) AS processing_seconds,
    CAST(JSON_VALUE(json_payload, '$$.queueTime') AS FLOAT64) AS queue_seconds,
    CAST(JSON_VALUE(json_payload, '$$.cost') AS FLOAT64) AS logged_usd,
    CAST(JSON_VALUE(json_payload, '$$.machineSeconds.gpu_job') AS FLOAT64) AS gpu_job_seconds,
    CAST(JSON_VALUE(json_payload, '$$.machineSeconds.cpu_job') AS FLOAT64) AS cpu_job_seconds,
    CAST(JSON_VALUE(json_payload, '$$.machineSeconds.gke_pod') AS FLOAT64) AS gke_pod_seconds
  FROM `$LOGS._AllLogs`
  WHERE JSON_VALUE(json_payload, '$$.event') IN ('job.succeeded', 'job.failed', 'job.dead_lettered', 'job.cancelled')
),
numbered AS (
  -- A line may be stored twice, and a dead letter told by two.
  SELECT *, ROW_NUMBER() OVER (PARTITION BY job_id, submission ORDER BY ended_at, state) AS number
  FROM told
),
ends AS (
  SELECT * FROM numbered WHERE number = 1
),
spent AS (
  SELECT job_id, submission, ended_at, 'gpu-job' AS machine, gpu_job_seconds AS seconds FROM ends
  UNION ALL
  SELECT job_id, submission, ended_at, 'cpu-job' AS machine, cpu_job_seconds AS seconds FROM ends
  UNION ALL
  SELECT job_id, submission, ended_at, 'gke-pod' AS machine, gke_pod_seconds AS seconds FROM ends
),
candidates AS (
  SELECT
    spent.job_id,
    spent.submission,
    spent.machine,
    spent.seconds,
    prices.usd_per_second,
    prices.other_usd_per_second,
    prices.as_of,
    prices.assumption,
    ROW_NUMBER() OVER (
      PARTITION BY spent.job_id, spent.submission, spent.machine
      ORDER BY
        prices.as_of <= DATE(spent.ended_at) DESC,
        ABS(DATE_DIFF(prices.as_of, DATE(spent.ended_at), DAY)),
        prices.usd_per_second DESC,
        prices.other_usd_per_second DESC,
        prices.assumption
    ) AS nearness
  FROM spent
  LEFT JOIN `$DATASET.prices` AS prices ON prices.machine = spent.machine
  WHERE spent.seconds > 0
),
priced AS (
  SELECT
    job_id,
    submission,
    SUM(seconds * usd_per_second) AS usd,
    SUM(seconds * other_usd_per_second) AS other_usd,
    MAX(as_of) AS prices_as_of,
    STRING_AGG(machine || ': ' || assumption, '; ' ORDER BY machine) AS assumptions
  FROM candidates
  WHERE nearness = 1
  GROUP BY job_id, submission
)
SELECT
  ends.job_id,
  ends.submission,
  ends.state,
  ends.code,
  ends.ended_at,
  DATE(ends.ended_at) AS day,
  ends.attempts,
  ends.queue_seconds,
  ends.processing_seconds,
  ends.gpu_job_seconds,
  ends.cpu_job_seconds,
  ends.gke_pod_seconds,
  ROUND(COALESCE(priced.usd, 0), 6) AS usd,
  ROUND(COALESCE(priced.other_usd, 0), 6) AS other_usd,
  ROUND(ends.logged_usd, 6) AS logged_usd,
  priced.prices_as_of,
  priced.assumptions
FROM ends
LEFT JOIN priced ON priced.job_id = ends.job_id AND priced.submission = ends.submission;
