/*
 * Ids of graphics cards become names.  A device id alone names nothing: the same number is another
 * card of another maker.  The maker is the one in the same result, or the one that the crashes of
 * the group had with this device, which the document brings along until here.
 */
#include <ctype.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/correlations/correlations.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "queries.h"

enum { VENDORS_MAX = 1 << 16 }; /* PCI numbers them with 16 bits; reporters may send any text */

static const char vendor_key[] = "adapter_vendor_id", device_key[] = "adapter_device_id";

struct naming {
    struct arena arena;
    struct textmap vendors; /* ids that are asked for */
    const json_t *of_device;
    struct db_rows *rows;
};

/* As the table has them, whatever a reporter writes. */
static char *lowered(struct arena *a, const char *id)
{
    char *out = arena_strdup(a, id);
    for (char *c = out; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return out;
}

/* Called with every item of the document, those of priors too. */
typedef void with_item(struct naming *n, json_t *item);

static void each_item(struct naming *n, const json_t *document, with_item *with)
{
    size_t i;
    const json_t *r;
    json_array_foreach (jget_arr(document, "results"), i, r) {
        with(n, jget_obj(r, "item"));
        if (jget_obj(r, "prior"))
            with(n, jget_obj(jget_obj(r, "prior"), "item"));
    }
}

static const char *vendor_of(struct naming *n, const json_t *item)
{
    const char *vendor = jget_str(item, vendor_key), *device = jget_str(item, device_key);
    if (!vendor && device)
        vendor = jget_str(n->of_device, device);
    return vendor ? lowered(&n->arena, vendor) : NULL;
}

static void note_vendor(struct naming *n, json_t *item)
{
    const char *vendor = vendor_of(n, item);
    if (vendor)
        textmap_number(&n->vendors, &n->arena, str_of(vendor));
}

/* The name of the device, or of the vendor when device is NULL; NULL: not known. */
static const char *name_of(const struct naming *n, const char *vendor, const char *device)
{
    for (int i = 0; i < n->rows->count; i++) {
        if (strcmp(db_col(n->rows, i, Q_WEB_GRAPHICS_COL_VENDOR_HEX), vendor) != 0)
            continue;
        if (!device)
            return db_col(n->rows, i, Q_WEB_GRAPHICS_COL_VENDOR_NAME);
        if (strcmp(db_col(n->rows, i, Q_WEB_GRAPHICS_COL_ADAPTER_HEX), device) == 0)
            return db_col(n->rows, i, Q_WEB_GRAPHICS_COL_ADAPTER_NAME);
    }
    return NULL;
}

static void replace_names(struct naming *n, json_t *item)
{
    const char *vendor = vendor_of(n, item), *device = jget_str(item, device_key), *name;
    if (!vendor)
        return;
    name = device ? name_of(n, vendor, lowered(&n->arena, device)) : NULL;
    if (name && *name)
        jset_cstr(item, device_key, name);
    name = jget_str(item, vendor_key) ? name_of(n, vendor, NULL) : NULL;
    if (name && *name)
        jset_cstr(item, vendor_key, name);
}

bool correlation_names(struct db *db, json_t *document, struct err *err)
{
    DB_ROWS rows = {0};
    struct naming n = {.of_device = jget_obj(document, "_vendors"), .rows = &rows};
    bool ok = true;
    arena_init(&n.arena, (size_t)64 << 20); /* some bytes for each result */
    textmap_init(&n.vendors, VENDORS_MAX);  /* one that has no place keeps its number */
    each_item(&n, document, note_vendor);
    if (n.vendors.texts.n > 0) {
        const struct strs ids = {n.vendors.texts.v, n.vendors.texts.n};
        ok = DB_RUN(db, &q_web_graphics, &rows, err, db_text_array(&n.arena, ids));
        if (ok)
            each_item(&n, document, replace_names);
    }
    json_object_del(document, "_vendors");
    textmap_release(&n.vendors);
    arena_release(&n.arena);
    return ok || err_wrap(err, "names of graphics devices");
}
