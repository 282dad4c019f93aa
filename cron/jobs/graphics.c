/*
 * update_graphics_pci: names for the numbers of graphics devices, out of the list of PCI ids that
 * volunteers keep (pci.ids; Debian has it as /usr/share/misc/pci.ids, argument file).
 *
 * The list is text: four hexadecimal digits and a name are a vendor, a tab in front makes it a
 * device of the vendor above, two tabs a subsystem, which reports do not have.  Behind the comment
 * "List of known device classes" numbers mean something else.  Crashes have the numbers with 0x in
 * front, so they are stored like that.
 *
 * Nothing is deleted: a device that left the list is still in old crashes.
 */
#include <stdio.h>

#include "cron/job_context.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/http/http.h"
#include "queries.h"

enum {
    LIST_BYTES_MAX = 32 << 20, /* the list has 1.5 MB in 2026 */
    BATCH = 2000,              /* devices of one statement */
    ID_DIGITS = 4,
};

/* A batch of devices as columns of one statement, and what became of those before it. */
struct devices {
    struct job_context *x;
    struct arena arena; /* of a batch */
    struct strs vendors, adapters, vendor_names, adapter_names;
    size_t created, updated, skipped;
};

/* The statement answers the rows that it changed; the others were like this already. */
static bool flush_devices(struct devices *d, struct err *err)
{
    DB_ROWS rows = {0};
    size_t n = d->vendors.n;
    if (n == 0)
        return true;
    if (!DB_RUN(d->x->db, &q_graphics_device_put, &rows, err, db_text_array(&d->arena, d->vendors),
                db_text_array(&d->arena, d->adapters), db_text_array(&d->arena, d->vendor_names),
                db_text_array(&d->arena, d->adapter_names)))
        return false;
    size_t created = 0;
    job_did(d->x, n);
    for (int i = 0; i < rows.count; i++)
        created += db_col_bool(&rows, i, Q_GRAPHICS_DEVICE_PUT_COL_IS_NEW);
    d->created += created;
    d->updated += (size_t)rows.count - created;
    d->skipped += n - (size_t)rows.count;
    return true;
}

static void begin_batch(struct devices *d)
{
    struct strs *const columns[] = {&d->vendors, &d->adapters, &d->vendor_names, &d->adapter_names};
    arena_reset(&d->arena);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        *columns[i] = (struct strs){.v = arena_array(&d->arena, BATCH, sizeof(struct str))};
}

/* "8086  Intel Corporation": lower-case digits, blanks, a name. */
static bool read_entry(struct str line, struct str *ret_id, struct str *ret_name)
{
    if (line.n <= ID_DIGITS || (line.p[ID_DIGITS] != ' ' && line.p[ID_DIGITS] != '\t'))
        return false;
    for (size_t i = 0; i < ID_DIGITS; i++)
        if (hex_digit(line.p[i]) < 0 || (line.p[i] >= 'A' && line.p[i] <= 'F'))
            return false;
    *ret_id = str_sub(line, 0, ID_DIGITS);
    *ret_name = str_trim(str_sub(line, ID_DIGITS, SIZE_MAX));
    return ret_name->n > 0;
}

static struct str hex_id(struct arena *a, struct str id)
{
    return str_of(arena_printf(a, "0x" STR_FMT, STR_ARG(id)));
}

static bool add_device(struct devices *d, struct str vendor, struct str vendor_name, struct str id,
                       struct str name, struct err *err)
{
    struct arena *a = &d->arena;
    if (d->vendors.n == BATCH) {
        if (!flush_devices(d, err))
            return false;
        begin_batch(d);
    }
    d->vendors.v[d->vendors.n++] = hex_id(a, vendor);
    d->adapters.v[d->adapters.n++] = hex_id(a, id);
    d->vendor_names.v[d->vendor_names.n++] = utf8_clean(a, vendor_name);
    d->adapter_names.v[d->adapter_names.n++] = utf8_clean(a, name);
    return true;
}

/* A line that is neither vendor nor device ends the vendor, so nothing is filed under a wrong
 * one. */
static bool read_pci_ids(struct devices *d, struct str text, struct err *err)
{
    struct str line, vendor = STR_NONE, vendor_name = STR_NONE, id, name;
    begin_batch(d);
    while (str_split(&text, '\n', &line)) {
        line = str_rtrim(line);
        if (str_starts(line, STR("#"))) {
            if (str_find(line, STR("List of known device classes"), 0) != SIZE_MAX)
                break;
        } else if (!str_starts(line, STR("\t"))) {
            if (!read_entry(line, &vendor, &vendor_name))
                vendor = STR_NONE;
        } else if (vendor.n && read_entry(str_sub(line, 1, SIZE_MAX), &id, &name) &&
                   !add_device(d, vendor, vendor_name, id, name, err)) {
            return false;
        }
    }
    return flush_devices(d, err);
}

/* Anything but 200 is no list, however friendly the page looks that comes with it. */
static bool fetch_pci_ids(struct job_context *x, char **ret, size_t *ret_n, struct err *err)
{
    const char *url = conf_text(x->conf, CONF_PCI_IDS_URL);
    struct http_response answer;
    const struct http_request q = {
        .url = url,
        .may_reach_reserved = true, /* a mirror of the house, chosen by the administrator */
        .timeout_ms = (int)conf_int(x->conf, CONF_PCI_IDS_TIMEOUT_MS),
        .max_bytes = LIST_BYTES_MAX};
    if (!http_do(&q, &answer, err))
        return err_wrap(err, "%s", url);
    if (answer.status != 200) {
        err_set(err, ERR_UNAVAILABLE, "%s: status %d", url, answer.status);
        http_response_release(&answer);
        return false;
    }
    *ret = answer.body;
    *ret_n = answer.n;
    return true;
}

/* A file without a single device is a wrong file: it is said, and not counted as done. */
bool job_update_graphics_pci(struct job_context *x, struct err *err)
{
    const char *file = job_arg(x, "file");
    FREE_LATER char *text = NULL;
    size_t n = 0;
    if (!file && !conf_text(x->conf, CONF_PCI_IDS_URL)[0]) {
        puts("PCI_IDS_URL is not set and no file was given: nothing to do");
        return true;
    }
    if (file ? !fs_read(file, LIST_BYTES_MAX, &text, &n, err) : !fetch_pci_ids(x, &text, &n, err))
        return false;
    struct devices d = {.x = x};
    arena_init(&d.arena, 16 << 20); /* a batch: names of a hundred bytes, twice */
    bool ok = read_pci_ids(&d, str_n(text, n), err);
    arena_release(&d.arena);
    if (ok && d.created + d.updated + d.skipped == 0)
        return err_set(err, file ? ERR_INVALID : ERR_UNAVAILABLE,
                       "no devices in it: this is no list of PCI ids");
    if (ok)
        printf("%zu devices created, %zu updated, %zu skipped\n", d.created, d.updated, d.skipped);
    return ok;
}
