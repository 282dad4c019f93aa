# rows.awk - templates/rows.tsv to the tables of lib/tpl/tpl.h and a constant for each column.
#
#   awk -f tools/gen/rows.awk -v header=rows.h -v source=rows.c templates/rows.tsv
#
# A row type is one line: its name, the lists of pages that hold such rows ("-": only other rows do),
# its columns.  A column NAME:TYPE is a list of rows of that type itself.  "hit", "hits" and "url"
# become HIT_URL and LIST_HITS.  Anything that does not fit stops the build with the line.

BEGIN {
    FS = "\t"
    types = lists = columns = 0
}

function fail(text)
{
    printf "%s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"
    failed = 1
    exit 1
}

function check_name(name)
{
    if (name !~ /^[a-z][a-z0-9_]*$/)
        fail("not a name: \"" name "\"")
}

function add_lists(    i, n, names)
{
    n = $2 == "-" ? 0 : split($2, names, " ")
    for (i = 1; i <= n; i++) {
        check_name(names[i])
        if (names[i] in list_type)
            fail("a second list " names[i])
        list_type[names[i]] = types
        list_name[lists++] = names[i]
    }
}

function add_columns(    i, n, words, parts)
{
    first[types] = columns
    n = split($3, words, " ")
    for (i = 1; i <= n; i++) {
        parts[2] = ""
        split(words[i], parts, ":")
        check_name(parts[1])
        if (($1, parts[1]) in seen)
            fail("a second column " parts[1])
        seen[$1, parts[1]] = 1
        column_name[columns] = parts[1]
        column_rows[columns] = parts[2]
        column_line[columns++] = FNR
    }
    count[types] = n
}

/^#/ || /^$/ { next }

{
    if (NF != 3 || $3 == "")
        fail("not a name, lists and columns with tabs between")
    check_name($1)
    if ($1 in type_of)
        fail("a second row type " $1)
    file = FILENAME
    type_of[$1] = types
    type_name[types] = $1
    line[types] = FNR
    add_lists()
    add_columns()
    types++
}

function write_header(    t, i)
{
    print "/* Made by tools/gen/rows.awk of " file ". */" > header
    print "#ifndef GEN_ROWS_H\n#define GEN_ROWS_H\n\n#include \"lib/tpl/tpl.h\"\n" > header
    print "extern const struct tpl_schema page_rows;" > header
    print "extern const struct tpl_row_type page_row_types[" types "];" > header
    print "extern const struct tpl_column page_columns[" columns "];" > header
    print "extern const struct tpl_list page_lists[" lists "];\n" > header
    for (i = 0; i < lists; i++)
        printf "#define LIST_%s (&page_lists[%d])\n", toupper(list_name[i]), i > header
    for (t = 0; t < types; t++) {
        print "" > header
        for (i = first[t]; i < first[t] + count[t]; i++)
            printf "#define %s_%s (&page_columns[%d])\n", toupper(type_name[t]),
                   toupper(column_name[i]), i > header
    }
    print "\n#endif" > header
}

function write_source(    t, i, of)
{
    print "/* Made by tools/gen/rows.awk of " file ". */\n#include \"rows.h\"\n" > source
    print "const struct tpl_column page_columns[] = {" > source
    for (i = 0; i < columns; i++) {
        of = column_rows[i]
        if (of != "" && !(of in type_of)) {
            printf "%s:%d: no row type %s\n", file, column_line[i], of > "/dev/stderr"
            exit 1
        }
        printf "    {\"%s\", %s},\n", column_name[i],
               of == "" ? "NULL" : "&page_row_types[" type_of[of] "]" > source
    }
    print "};\nconst struct tpl_row_type page_row_types[] = {" > source
    for (t = 0; t < types; t++)
        printf "    {\"%s\", &page_columns[%d], %d, %d},\n", type_name[t], first[t], count[t],
               line[t] > source
    print "};\nconst struct tpl_list page_lists[] = {" > source
    for (i = 0; i < lists; i++)
        printf "    {\"%s\", &page_row_types[%d]},\n", list_name[i], list_type[list_name[i]] > source
    print "};\nconst struct tpl_schema page_rows = {" > source
    printf "    \"%s\",\n    page_row_types, %d,\n    page_columns, %d,\n    page_lists, %d,\n};\n",
           file, types, columns, lists > source
}

END {
    if (failed)
        exit 1
    write_header()
    write_source()
}
