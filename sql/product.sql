-- Reports of products that are not configured.

-- name: rejected_product_add
-- Counts of some seconds; arrays of equal length, names all different.
-- $1 products text[]
-- $2 counts bigint[]
INSERT INTO rejected_product (product, count)
SELECT p.product, p.count
  FROM unnest($1::text[], $2::bigint[]) AS p (product, count)
 ORDER BY p.product -- collectors lock rows in the same order
ON CONFLICT (product) DO UPDATE
   SET count = rejected_product.count + excluded.count, last_seen = now();

-- name: rejected_product_trim
-- Strangers choose the names: those not seen for longest go first.
-- $1 keep bigint
DELETE FROM rejected_product
 WHERE product IN (SELECT product FROM rejected_product
                    ORDER BY last_seen DESC, count DESC, product OFFSET $1::bigint);

-- name: rejected_product_list
-- Those seen in the last `days` days, most reports first.
-- $1 days integer
SELECT product, count, to_char(last_seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS last_seen
  FROM rejected_product
 WHERE last_seen >= now() - make_interval(days => $1::integer)
 ORDER BY count DESC, product;
