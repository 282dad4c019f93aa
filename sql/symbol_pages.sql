-- What the pages and the JSON API of the symbol server read and change.

-- name: symbol_stats
-- Uploads of today, yesterday and the last 30 days (UTC): how many, and bytes of archives.
-- $1 user_id bigint: whose; NULL: everybody's
SELECT p.name, count(u.id) AS n, coalesce(sum(u.size), 0)::bigint AS bytes
  FROM (VALUES (1, 'today', 0, -1), (2, 'yesterday', 1, 0), (3, 'last_30_days', 30, -1))
       AS p (place, name, first_day, end_day)
  LEFT JOIN symbol_upload u
    ON u.created_at >= (date_trunc('day', now() AT TIME ZONE 'UTC')
                        - make_interval(days => p.first_day)) AT TIME ZONE 'UTC'
   AND u.created_at < (date_trunc('day', now() AT TIME ZONE 'UTC')
                       - make_interval(days => p.end_day)) AT TIME ZONE 'UTC'
   AND ($1::bigint IS NULL OR u.user_id = $1::bigint)
 GROUP BY p.place, p.name ORDER BY p.place;
