-- The monthly report: what each service cost each environment, beside the month before, by invoice month (its days are
-- Pacific time's, as on the invoice). A service that cost nothing this month is still there with what it did before.
CREATE OR REPLACE VIEW `$DATASET.monthly` AS
WITH months AS (
  SELECT month, env, service, currency, SUM(net) AS net
  FROM `$DATASET.bill`
  GROUP BY month, env, service, currency
),
shifted AS (
  SELECT month, env, service, currency, net, 0.0 AS before
  FROM months
  UNION ALL
  SELECT DATE_ADD(month, INTERVAL 1 MONTH) AS month, env, service, currency, 0.0 AS net, net AS before
  FROM months
  WHERE month < (SELECT MAX(month) FROM months)
),
compared AS (
  SELECT month, env, service, currency, SUM(net) AS net, SUM(before) AS before
  FROM shifted
  GROUP BY month, env, service, currency
)
SELECT
  month,
  env,
  service,
  currency,
  ROUND(net, 2) AS net,
  ROUND(before, 2) AS month_before,
  ROUND(net - before, 2) AS change,
  ROUND(SAFE_DIVIDE(net, SUM(net) OVER (PARTITION BY month, env, currency)), 4) AS share
FROM compared;
