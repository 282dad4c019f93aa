# lib/minidump/windows-codes.tsv -> one sorted array per table and one block of names.
# Offsets instead of pointers: nothing to relocate when a program starts.
BEGIN {
    FS = "\t"
    print "#include \"lib/minidump/windows_codes.h\"\n"
}
/^#/ { next }
NF != 3 || $2 !~ /^[0-9a-f]+$/ || length($2) != 8 {
    printf "%s:%d: not `table value name`\n", FILENAME, FNR > "/dev/stderr"
    exit failed = 1
}
$1 == table && ($2 "") <= (last "") { # as text: 000001e7 looks like a number
    printf "%s:%d: not sorted\n", FILENAME, FNR > "/dev/stderr"
    exit failed = 1
}
{
    table = $1
    last = $2
    if (!(table in count))
        order[++tables] = table
    rows[table, ++count[table]] = "    {0x" $2 ", " offset + 0 "},"
    names[++total] = $3
    offset += length($3) + 1
}
END {
    if (failed)
        exit 1
    for (t = 1; t <= tables; t++) {
        table = order[t]
        print "static const struct windows_code " table "_codes[] = {"
        for (i = 1; i <= count[table]; i++)
            print rows[table, i]
        print "};\n"
    }
    print "const struct windows_table windows_tables[] = {"
    for (t = 1; t <= tables; t++)
        print "    {\"" order[t] "\", " order[t] "_codes, " count[order[t]] "},"
    print "};"
    print "const unsigned long windows_table_count = " tables ";\n"
    print "const char windows_names[] ="
    for (i = 1; i <= total; i++)
        print "    \"" names[i] "\\0\""
    print "    ;"
}
