#ifndef HANDLER_NOTES_H
#define HANDLER_NOTES_H

#include "client/annotations.h"
#include "lib/base/str.h"

/*
 * notes - the annotations of one report as a JSON object: those of the program and
 * what the handler knows itself (time of the crash, memory of the machine).
 *
 * Trust      Values may hold anything; the JSON is always well-formed UTF-8.
 */
struct notes_facts {
    int64_t now_us;
    int64_t last_crash_s;     /* 0: none known */
    const char *dumper_error; /* NULL, or why there is no minidump */
};

/*
 * All annotations that there can be, of DATIL_CLIENT_VALUE_MAX bytes each, take 0.5 MiB as text and
 * four times as much where JSON needs escapes for most of it.
 */
enum { NOTES_JSON_MAX = 2 << 20 };

/* The program's own annotations win over the handler's of the same name. */
void notes_json(const struct annotations *table, const struct notes_facts *facts,
                struct strbuf *out);

#endif
