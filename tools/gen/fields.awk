# fields.awk - a table of fields to the tables declared in lib/crash/field.h.
#
# -v table=fields_builtin: the name of the struct field_table; -v root=processed: the shape of its
# documents.
#
# Three kinds of rows (docs/fields.md): annotation, key, search.  What follows from
# another row is not written twice but taken from there: what an annotation is copied
# to, the permission of a search field, missing descriptions.  Anything that does not
# agree stops the build with the line.
#
# Run with LC_ALL=C, so that names sort by bytes.

BEGIN {
    FS = "\t"
    # Which kinds of index find values of a type.  lib/crash/field_load.c says the same of rows that an
    # installation adds.
    kinds_of["str"] = kinds_of["enum"] = "text semi keyword"
    kinds_of["int"] = "integer short long"
    kinds_of["float"] = "double"
    kinds_of["bool"] = "boolean"
    kinds_of["datetime"] = "date"
}

function fail(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"
    failed = 1
    exit 1
}

function quote(text) {
    gsub(/\\/, "&&", text)
    gsub(/"/, "\\\"", text)
    return "\"" text "\""
}

function or_null(text) { return text == "-" || text == "" ? "NULL" : quote(text) }

function perm_of(word) {
    if (word == "pub")
        return "PERM_PUBLIC"
    if (word == "prot")
        return "PERM_PROTECTED"
    fail("permission " word)
}

# "str/null" to bits; sets item_bits, is_map and shape_name as it meets them.
function type_bits(text,    n, i, words, word, bits) {
    item_bits = "0"
    is_map = 0
    shape_name = ""
    bits = ""
    n = split_types(text, words)
    for (i = 1; i <= n; i++) {
        word = words[i]
        if (word ~ /^\[.*\]$/ || word ~ /^\{.*\}$/) {
            is_map = word ~ /^\{/
            item_bits = plain_bits(substr(word, 2, length(word) - 2))
            word = is_map ? "obj" : "list"
        }
        bits = bits (bits == "" ? "" : " | ") plain_bits(word)
    }
    return bits
}

# Cuts at '/' outside brackets.
function split_types(text, words,    n, i, c, depth) {
    n = 1
    words[1] = ""
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "[" || c == "{")
            depth++
        if (c == "]" || c == "}")
            depth--
        if (c == "/" && !depth)
            words[++n] = ""
        else
            words[n] = words[n] c
    }
    return n
}

function plain_bits(text,    n, i, words, word, bits) {
    n = split(text, words, "/")
    for (i = 1; i <= n; i++) {
        word = words[i]
        if (word ~ /^@/) {
            shape_name = substr(word, 2)
            word = "obj"
        }
        if (word !~ /^(str|int|num|bool|obj|list|null|any)$/)
            fail("type " word)
        bits = bits (bits == "" ? "" : " | ") "SCHEMA_" toupper(word)
    }
    return bits
}

/^#/ || NF == 0 { next }

$1 == "annotation" && NF == 6 {
    if ($2 in ann_types)
        fail("annotation " $2 " twice")
    ann[++anns] = $2
    ann_types[$2] = type_bits($3)
    ann_perm[$2] = perm_of($4)
    ann_default[$2] = $5
    ann_desc[$2] = $6
    next
}

$1 == "key" && NF == 8 {
    id = $2 SUBSEP $3
    if (id in key_bits)
        fail("key " $2 "." $3 " twice")
    if (!($2 in shape_n)) {
        shapes[++shape_count] = $2
        shape_n[$2] = 0
    }
    shape_key[$2, ++shape_n[$2]] = $3
    key_bits[id] = type_bits($4)
    key_items[id] = item_bits
    key_map[id] = is_map
    key_shape[id] = shape_name
    key_type[id] = $4
    key_perm[id] = perm_of($5)
    key_writer[id] = $6
    key_from[id] = $7
    key_desc[id] = $8
    if ($6 == "CopyFromRawCrash") {
        if (copied_to[$7] != "")
            fail("annotation " $7 " is copied twice")
        copied_to[$7] = $3
    }
    next
}

$1 == "search" && NF == 9 {
    if ($2 in search_query)
        fail("search field " $2 " twice")
    search[++searches] = $2
    search_query[$2] = $3
    search_value[$2] = $4
    search_index[$2] = $5
    if ((" " kinds_of[$4] " ") !~ (" " $5 " "))
        fail("search field " $2 ": an index of kind " $5 " cannot hold values of type " $4)
    search_flags[$2] = $6
    search_source[$2] = $7 == "=" ? $2 : $7
    search_choices[$2] = $8
    search_desc[$2] = $9
    if (!(search_source[$2] in source_desc))
        source_desc[search_source[$2]] = $9
    next
}

{ fail("not a row of a known kind with its number of columns (" NF ")") }

function sort_names(names, n,    i, j, x) {
    for (i = 2; i <= n; i++) {
        x = names[i]
        for (j = i - 1; j > 0 && names[j] > x; j--)
            names[j + 1] = names[j]
        names[j + 1] = x
    }
}

# The permission of a dotted path: protected if any step of it is.
function path_perm(path,    n, i, steps, shape, id, perm) {
    n = split(path, steps, ".")
    shape = root
    perm = "PERM_PUBLIC"
    for (i = 1; i <= n; i++) {
        id = shape SUBSEP steps[i]
        if (!(id in key_bits))
            fail("search source " path ": no such key")
        if (key_perm[id] == "PERM_PROTECTED")
            perm = "PERM_PROTECTED"
        shape = key_shape[id]
    }
    return perm
}

# What CopyFromRawCrash makes of a key's type: the first that is not null.
function copy_type(types) {
    if (types ~ /^bool/) return "COPY_BOOL"
    if (types ~ /^int/) return "COPY_INT"
    if (types ~ /^num/) return "COPY_NUM"
    if (types ~ /^str/) return "COPY_STR"
    if (types ~ /^@/) return "COPY_OBJ"
    fail("cannot copy into " types)
}

function print_annotations(    i, name, id) {
    if (!anns)
        return
    sort_names(ann, anns)
    print "\nstatic const struct annotation annotation_rows[] = {"
    for (i = 1; i <= anns; i++) {
        name = ann[i]
        id = root SUBSEP copied_to[name]
        printf "    {%s, %s, %s, %s, %s, %s, %s},\n", quote(name), ann_types[name], ann_perm[name], \
            copied_to[name] == "" ? "COPY_NONE" : copy_type(key_type[id]), or_null(copied_to[name]), \
            or_null(ann_default[name]), quote(ann_desc[name])
    }
    print "};"
}

function key_description(shape, name, id) {
    if (key_desc[id] != "-")
        return key_desc[id]
    if (shape == root && (name in source_desc))
        return source_desc[name]
    return key_from[id] in ann_desc ? ann_desc[key_from[id]] : ""
}

function print_shape(shape,    i, names, name, id, sub_shape) {
    for (i = 1; i <= shape_n[shape]; i++)
        names[i] = shape_key[shape, i]
    sort_names(names, shape_n[shape])
    printf "\nstatic const struct schema_key keys_%s[] = {\n", shape
    for (i = 1; i <= shape_n[shape]; i++) {
        name = names[i]
        id = shape SUBSEP name
        sub_shape = key_shape[id]
        if (sub_shape != "" && !(sub_shape in shape_n))
            fail(shape "." name ": no shape " sub_shape)
        printf "    {%s, %s, %s, %s, %s, %s, %s, %s, %s},\n", quote(name), key_bits[id], \
            key_items[id], key_map[id] ? "true" : "false", \
            sub_shape == "" ? "NULL" : "&shape_" sub_shape, key_perm[id], or_null(key_writer[id]), \
            or_null(key_from[id]), quote(key_description(shape, name, id))
    }
    print "};"
}

# Built-in fields alone; field_load.c refuses the flag.
function frames_of(flags) {
    if (flags ~ /all-frames/)
        return "FRAMES_OF_ALL"
    return flags ~ /frames/ ? "FRAMES_OF_CRASH" : "FRAMES_NONE"
}

function print_search(    i, name, flags) {
    sort_names(search, searches)
    print "\nstatic const struct search_field search_rows[] = {"
    for (i = 1; i <= searches; i++) {
        name = search[i]
        flags = search_flags[name]
        id_of[name] = i - 1
        if (flags ~ /(^|,)id(,|$)/)
            key_field = name
        if (flags ~ /correlates/ && path_perm(search_source[name]) != "PERM_PUBLIC")
            fail("search field " name ": what is protected cannot be an attribute of correlations")
        printf "    {%s, %d, QUERY_%s, VALUE_%s, INDEX_%s, %s, %s, %s, %s, %s, %s, %s, %s, %s},\n", quote(name), \
            i - 1, toupper(search_query[name]), toupper(search_value[name]), toupper(search_index[name]), \
            flags ~ /list/ ? "true" : "false", flags ~ /full/ ? "true" : "false", \
            flags ~ /versions/ ? "true" : "false", frames_of(flags), \
            flags ~ /correlates/ ? "true" : "false", quote(search_source[name]), \
            path_perm(search_source[name]), \
            or_null(search_choices[name]), quote(search_desc[name])
    }
    print "};"
}

# The row of a field that struct field_table names by itself.
function search_row(name) {
    if (!(name in id_of))
        fail("every table needs a search field with the flag id, and one called date")
    return "&search_rows[" id_of[name] "]"
}

END {
    if (failed)
        exit 1
    for (name in copied_to)
        if (!(name in ann_types))
            fail("copied annotation " name " has no row")
    print "/* Generated from " FILENAME " by tools/gen/fields.awk. */"
    print "#include \"lib/crash/field.h\""
    print_annotations()
    print ""
    for (i = 1; i <= shape_count; i++)
        if (shapes[i] != root)
            printf "static const struct schema_shape shape_%s;\n", shapes[i]
    for (i = 1; i <= shape_count; i++)
        print_shape(shapes[i])
    print ""
    for (i = 1; i <= shape_count; i++)
        if (shapes[i] != root)
            printf "static const struct schema_shape shape_%s = {\"%s\", keys_%s, %d};\n", \
                shapes[i], shapes[i], shapes[i], shape_n[shapes[i]]
    print_search()
    print "\nconst struct field_table " table " = {"
    print "    .search = search_rows,"
    print "    .search_count = " searches ","
    if (anns) {
        print "    .annotations = annotation_rows,"
        print "    .annotation_count = " anns ","
    }
    print "    .processed = {\"" root "\", keys_" root ", " shape_n[root] "},"
    print "    .uuid = " search_row(key_field) ","
    print "    .date = " search_row("date") ","
    print "};"
}
