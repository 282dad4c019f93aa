-- Names of products whose reports were refused because nobody has configured them.  Strangers
-- choose them, so the table is bounded: see rejected_product_trim.

CREATE TABLE rejected_product (
    product    text PRIMARY KEY CHECK (length(product) <= 110), -- cleaned; empty: none was given
    count      bigint NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX rejected_product_seen ON rejected_product (last_seen);
