/*
 * Documents from standard input: one, or one per line, as signatures, frames, or a comparison of
 * two sets of lists.  The shapes of the answers are an interface that scripts read: members are
 * neither renamed nor left out when they are empty.
 */
#include "tools/crashsig/crashsig.h"

#include <errno.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/signature/signature.h"

/*
 * What a signature is made of is a small part of a processed crash.  Whoever has that part already
 * may give it as it is; json_dump is what tells the two apart.
 */
json_t *crash_data_of(const json_t *doc, bool is_processed)
{
    if (is_processed || json_object_get(doc, "json_dump"))
        return signature_crash_data(doc);
    return json_incref((json_t *)doc);
}

/*
 * Empty lines are read over.  A line that is no JSON ends everything: a file that is broken in one
 * place is not to be trusted in others, and its number says where.
 */
bool next_document(FILE *in, int *line, json_t **ret, struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t size = 0;
    ssize_t n;
    errno = 0;
    while ((n = getline(&text, &size, in)) >= 0) {
        (*line)++;
        struct str s = str_trim(str_n(text, (size_t)n));
        if (s.n == 0)
            continue;
        *ret = jparse(s, JSON_BYTES_MAX, err);
        return *ret || err_wrap(err, "line %d", *line);
    }
    if (ferror(in))
        err_errno(err, errno, "standard input");
    return false;
}

/*
 * A member that has no value is there as an empty text or list, as readers in other languages
 * expect.
 */
static void add_result(json_t *out, const struct signature_result *r)
{
    json_object_set(out, "signature", r->signature);
    json_object_set_new(out, "proto_signature",
                        r->proto_signature ? json_incref(r->proto_signature) : json_string(""));
    json_object_set(out, "notes", r->notes);
}

static void print_json(const json_t *v, size_t flags)
{
    json_dumpf(v, stdout, flags | JSON_ENCODE_ANY);
    putchar('\n');
}

/* One line in, one line out, in the same order, whichever way it is asked. */
static void print_line(const struct crashsig_options *o, const struct siglists *l,
                       const json_t *doc)
{
    if (o->is_frames) {
        json_auto_t *text = signature_frame_text(l, doc);
        print_json(text, 0);
        return;
    }
    json_auto_t *data = crash_data_of(doc, o->is_processed);
    json_auto_t *out = json_object();
    struct signature_result r;
    if (o->is_walk_only)
        signature_of_stack(l, data, &r);
    else
        signature_generate(l, data, &r);
    add_result(out, &r);
    json_object_set_new(out, "normalized_frames", r.frames ? json_incref(r.frames) : json_array());
    if (o->with_debug)
        json_object_set(out, "debug_log", r.debug);
    print_json(out, JSON_COMPACT);
    signature_result_release(&r);
}

static bool run_lines(const struct crashsig_options *o, const struct siglists *l, struct err *err)
{
    json_t *doc;
    int line = 0;
    while (next_document(stdin, &line, &doc, err)) {
        print_line(o, l, doc);
        json_decref(doc);
    }
    return err->code == ERR_NONE;
}

bool run_stdin(const struct crashsig_options *o, const struct siglists *l, struct err *err)
{
    if (o->is_jsonl || o->is_frames || o->is_walk_only)
        return run_lines(o, l, err);
    FREE_LATER char *text = NULL;
    size_t n;
    if (!fs_read_fd(STDIN_FILENO, "standard input", JSON_BYTES_MAX, &text, &n, err))
        return false;
    json_auto_t *doc = jparse(str_n(text, n), JSON_BYTES_MAX, err);
    if (!doc)
        return err_wrap(err, "standard input");
    json_auto_t *data = crash_data_of(doc, o->is_processed);
    json_auto_t *out = json_object();
    struct signature_result r;
    signature_generate(l, data, &r);
    add_result(out, &r);
    if (o->with_debug)
        json_object_set(out, "debug_log", r.debug);
    print_json(out, JSON_INDENT(2));
    signature_result_release(&r);
    return true;
}

struct move {
    const char *text; /* "OLD" -> "NEW", borrowed from the counting object */
    json_int_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct move *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->text, y->text);
}

/* The most frequent first, then by text, so that two runs can be compared. */
static void print_moves(json_t *moves, int changed, int total)
{
    size_t n = 0;
    const char *text;
    json_t *count;
    FREE_LATER struct move *sorted = xcalloc(json_object_size(moves) + 1, sizeof *sorted);
    json_object_foreach (moves, text, count)
        sorted[n++] = (struct move){text, json_integer_value(count)};
    qsort(sorted, n, sizeof *sorted, by_count);
    printf("%d of %d crashes change\n", changed, total);
    for (size_t i = 0; i < n; i++)
        printf("%7lld  %s\n", (long long)sorted[i].count, sorted[i].text);
}

/*
 * Prints the crash if its signature differs, and counts.  Every crash is one line of JSON; the sums
 * come at the end.  Only the two signatures are compared: notes and frames may differ when a list
 * was sorted anew.
 */
static bool compare_signatures(const struct siglists *before, const struct siglists *after,
                               const json_t *doc, bool is_processed, json_t *moves)
{
    json_auto_t *data = crash_data_of(doc, is_processed);
    struct signature_result x, y;
    signature_generate(before, data, &x);
    signature_generate(after, data, &y);
    bool differs = !json_equal(x.signature, y.signature);
    if (differs) {
        json_auto_t *out = json_pack("{s:O, s:O}", "old", x.signature, "new", y.signature);
        const json_t *id = json_object_get(doc, "uuid");
        if (id)
            json_object_set(out, "crashid", (json_t *)id);
        print_json(out, JSON_COMPACT | JSON_SORT_KEYS);
        STRBUF_AUTO text = {0};
        sb_init(&text, 1024);
        sb_printf(&text, "\"%s\" -> \"%s\"", json_string_value(x.signature),
                  json_string_value(y.signature));
        json_object_set_new(moves, sb_cstr(&text),
                            json_integer(jget_int_or(moves, sb_cstr(&text), 0) + 1));
    }
    signature_result_release(&x);
    signature_result_release(&y);
    return differs;
}

/*
 * Nothing is kept of the crashes but the number of each move, so a day of a large installation fits
 * into memory.
 */
bool run_compare(const struct crashsig_options *o, const struct siglists *before,
                 const struct siglists *after, struct err *err)
{
    json_auto_t *moves = json_object();
    json_t *doc;
    int line = 0, total = 0, changed = 0;
    while (next_document(stdin, &line, &doc, err)) {
        total++;
        changed += compare_signatures(before, after, doc, o->is_processed, moves);
        json_decref(doc);
    }
    if (err->code == ERR_NONE)
        print_moves(moves, changed, total);
    return err->code == ERR_NONE;
}
