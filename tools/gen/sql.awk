# sql/*.sql -> queries.h and queries.c: one struct db_query per named statement.
#
#   awk -f tools/gen/sql.awk -v header=queries.h -v source=queries.c sql/*.sql
#
# A statement starts with `-- name: NAME`, goes on with comments (kept in the header as its
# manual), one line `-- $N name type` per parameter, then the text up to a semicolon at the end
# of a line.  Anything that does not fit stops the build with file and line.
#
# A statement that answers rows also gets an enum of its columns: Q_QUEUE_CLAIM_COL_CRASH_ID is what
# db_col() wants, so a column that does not exist does not compile.  The names are those of the
# statement itself (a plain column, or what stands behind AS); db.c compares them with the server's
# when it prepares the statement.  A constant also holds the number of its statement, so that one of
# another statement is noticed at the first row.

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

# The list of what a statement answers, "" if it answers nothing: from the SELECT or RETURNING that
# stands outside of all parentheses.  A SELECT behind INSERT is no answer.
function result_list(text,    i, c, depth, word, verb, list, in_list, quoted)
{
    list = word = verb = ""
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "'")
            quoted = !quoted
        if (!quoted && c ~ /[A-Za-z_]/) {
            match(substr(text, i), /^[A-Za-z_0-9]+/)
            word = substr(text, i, RLENGTH)
            if (!depth && !verb && word ~ /^(SELECT|INSERT|UPDATE|DELETE)$/)
                verb = word
            if (!depth && in_list && word == "FROM")
                break
            list = list (in_list ? word : "")
            if (!depth && word == (verb == "SELECT" ? "SELECT" : "RETURNING"))
                in_list = 1
            i += RLENGTH - 1
            continue
        }
        depth += quoted ? 0 : (c == "(") - (c == ")")
        if (in_list)
            list = list (c == "," && (depth || quoted) ? " " : c)
    }
    sub(/^[ \n]*DISTINCT[ \n]/, "", list)
    return list
}

# The columns as rows of an enum, and their names for db.c to compare.
function put_columns(text,    list, n, part, i, column, constants, names)
{
    list = result_list(text)
    if (list == "")
        return ""
    n = split(list, part, ",")
    constants = names = ""
    for (i = 1; i <= n; i++) {
        column = part[i]
        gsub(/^[ \n]+|[ \n;]+$/, "", column)
        if (column !~ /^([a-z_]+\.)?[a-z_0-9]+$/ && column !~ /[ \n]AS [a-z_0-9]+$/)
            fail("statement " name ": a name (AS ...) for the column " column)
        sub(/^.*[ \n.]/, "", column)
        constants = constants sprintf("    Q_%s_COL_%s = %d * DB_COLUMNS_MAX + %d,\n",
                                      toupper(name), toupper(column), count, i - 1)
        names = names "\"" column "\", "
    }
    printf "enum q_%s_col {\n%s};\n", name, constants > header
    return "    .columns = (const char *const[]){" names "NULL},\n"
}

function finish(    columns)
{
    if (!in_body)
        fail("statement " name " has no text")
    sub(/;[ \t]*$/, "", last_line)
    body = body "    \"" c_escape(last_line) "\""
    if (highest_param(plain) != params)
        fail("statement " name " declares " params " parameters and uses $" highest_param(plain))
    printf "%s/* (%s) */\nextern const struct db_query q_%s;\n", doc, signature, name > header
    columns = put_columns(plain)
    printf "\n" > header
    printf "const struct db_query q_%s = {\n    .name = \"%s\",\n    .text =\n%s,\n%s" \
           "    .param_count = %d,\n    .index = %d,\n};\n\n", name, name, body, columns, params,
           count - 1 > source
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
    line = $0
    sub(/(^|[ \t])--( .*)?$/, "", line) # a comment stands behind a blank; two dashes in a text do not
    plain = plain line "\n"
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
