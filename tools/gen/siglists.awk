# siglists.awk - the signature lists as C texts, in the order of the arguments.

function quote(text) {
    gsub(/\\/, "&&", text)
    gsub(/"/, "\\\"", text)
    return "\"" text "\\n\""
}

BEGIN {
    print "/* Generated from lib/signature/lists/ by tools/gen/siglists.awk. */"
    print "#include \"lib/signature/lists.h\""
    print "\nconst struct siglist_text siglist_builtin[] = {"
}

FNR == 1 {
    if (NR > 1)
        print "    },"
    name = FILENAME
    sub(/.*\//, "", name)
    printf "    {\"%s\",\n", name
}

{ print "     " quote($0) }

END { print "    },\n};" }
