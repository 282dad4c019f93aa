# sql/*.sql -> queries.h and queries.c: one struct db_query per named statement.
#
#   awk -f tools/gen/sql.awk -v header=queries.h -v source=queries.c sql/*.sql
#
# A statement starts with `-- name: NAME`, goes on with comments (kept in the header as its
# manual), one line `-- $N name type` per parameter, then the text up to a semicolon at the end
# of a line.  Anything that does not fit stops the build with file and line.

function fail(text)
{
    printf "%s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"
    failed = 1
    exit 1
}

# Highest $N in the statement text, outside of quotes as far as our statements use them.
function highest_param(text,    rest, n, high)
{
    rest = text
    high = 0
    while (match(rest, /\$[0-9]+/)) {
        n = substr(rest, RSTART + 1, RLENGTH - 1) + 0
        if (n > high)
            high = n
        rest = substr(rest, RSTART + RLENGTH)
    }
    return high
}

# Not gsub: awks differ in how they read a backslash in its replacement.
function c_escape(line,    out, i, c)
{
    out = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        out = out (c == "\\" || c == "\"" ? "\\" c : c)
    }
    return out
}

function finish()
{
    if (!in_body)
        fail("statement " name " has no text")
    sub(/;[ \t]*$/, "", last_line)
    body = body "    \"" c_escape(last_line) "\""
    if (highest_param(plain) != params)
        fail("statement " name " declares " params " parameters and uses $" highest_param(plain))
    printf "%s/* (%s) */\nextern const struct db_query q_%s;\n\n", doc, signature, name > header
    printf "const struct db_query q_%s = {\n    .name = \"%s\",\n    .text =\n%s,\n" \
           "    .param_count = %d,\n    .index = %d,\n};\n\n", name, name, body, params, count - 1 > source
    list = list "    &q_" name ",\n"
    name = ""
}

BEGIN {
    print "/* Generated from sql/ by tools/gen/sql.awk. */\n#ifndef GEN_QUERIES_H\n#define GEN_QUERIES_H\n" > header
    print "#include \"lib/db/db.h\"\n" > header
    print "/* Generated from sql/ by tools/gen/sql.awk. */\n#include \"queries.h\"\n" > source
}

FNR == 1 && name != "" { fail("statement " name " of the file before has no semicolon") }

/^-- name:/ {
    if (name != "")
        fail("statement " name " has no semicolon at the end of a line")
    name = $3
    if (name !~ /^[a-z][a-z0-9_]*$/ || length(name) > 60 || NF != 3)
        fail("bad statement name '" name "'")
    if (name in seen)
        fail("statement " name " is defined twice")
    seen[name] = 1
    count++
    params = 0
    in_body = 0
    signature = doc = body = plain = ""
    next
}

name == "" {
    if ($0 !~ /^[ \t]*(--.*)?$/)
        fail("text outside of a statement")
    next
}

!in_body && /^-- \$/ {
    params++
    if ($2 != "$" params)
        fail("parameter " $2 " is out of order in " name)
    line = $0
    sub(/^-- \$[0-9]+ +/, "", line)
    signature = signature (params > 1 ? ", " : "") line
    next
}

!in_body && /^--/ {
    line = $0
    sub(/^-- ?/, "", line)
    gsub(/\*\//, "* /", line)
    doc = doc "/* " line " */\n"
    next
}

!in_body && /^[ \t]*$/ { next }

{
    if (in_body)
        body = body "    \"" c_escape(last_line) "\\n\"\n"
    in_body = 1
    last_line = $0
    plain = plain $0 "\n"
    if ($0 ~ /;[ \t]*$/)
        finish()
}

END {
    if (failed)
        exit 1
    if (name != "")
        fail("statement " name " has no semicolon at the end of a line")
    print "/* Every statement, in the order of their index. */" > header
    print "extern const struct db_query *const db_queries[]; /* NULL-ended */" > header
    print "extern const size_t db_query_total;\n\n#endif" > header
    printf "const struct db_query *const db_queries[] = {\n%s    NULL,\n};\n", list > source
    printf "const size_t db_query_total = %d;\n", count > source
}
