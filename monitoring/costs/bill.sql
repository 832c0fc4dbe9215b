-- The bill, one row for each day, environment, service, SKU and resource label, from the billing export
-- (https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/detailed-usage).
-- Nothing of the projects is left out: what carries no label stands under its project's, else under '(none)'.
CREATE OR REPLACE VIEW `$DATASET.bill` AS
WITH lines AS (
  SELECT
    DATE(usage_start_time) AS day,
    PARSE_DATE('%Y%m', invoice.month) AS month,
    project.id AS project,
    COALESCE(
      (SELECT MAX(label.value) FROM UNNEST(labels) AS label WHERE label.key = 'app'),
      (SELECT MAX(label.value) FROM UNNEST(project.labels) AS label WHERE label.key = 'app'),
      '(none)'
    ) AS app,
    COALESCE(
      (SELECT MAX(label.value) FROM UNNEST(labels) AS label WHERE label.key = 'env'),
      (SELECT MAX(label.value) FROM UNNEST(project.labels) AS label WHERE label.key = 'env'),
      '(none)'
    ) AS env,
    service.description AS service,
    sku.description AS sku,
    location.region AS region,
    cost_type,
    currency,
    cost,
    COALESCE((SELECT SUM(credit.amount) FROM UNNEST(credits) AS credit), 0) AS credits
  FROM `$BILLING_EXPORT`
  WHERE project.id IN ($PROJECTS)
)
SELECT
  day,
  month,
  project,
  app,
  env,
  service,
  sku,
  region,
  cost_type,
  currency,
  ROUND(SUM(cost), 6) AS cost,
  ROUND(SUM(credits), 6) AS credits,
  ROUND(SUM(cost) + SUM(credits), 6) AS net
FROM lines
GROUP BY day, month, project, app, env, service, sku, region, cost_type, currency;
