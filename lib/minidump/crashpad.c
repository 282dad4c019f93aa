/*
 * Annotations that Crashpad's clients attach to a dump: of the whole process (simple_annotations)
 * and of single modules, the latter as plain list, dictionary and typed objects.
 *
 * Everything is found through offsets, and offsets may be shared: a hostile dump of some KiB can
 * name one long value ten thousand times, or lists that contain themselves.  So what is taken is
 * counted in one budget for all lists together (number of annotations, and bytes of text), and a
 * list ends where the budget does; nothing recurses.
 *
 * Numbers and sizes are those of Crashpad's minidump_extensions.h.  A version of 0 marks a
 * structure that its writer has not filled in.
 */
#include "lib/minidump/crashpad.h"

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/*
 * MODULE_LINKS_MAX is no number of Crashpad's: it bounds the walk over a list whose entries are all
 * damaged and so cost no budget.
 */
enum { ANNOTATION_STRING = 1, ADDRESS_MASK_OFF = 56, MODULE_LINKS_MAX = 65536 };

/* How much is still taken; lists may point into themselves and share long values. */
struct budget {
    size_t annotations, bytes;
};

static bool spend(struct budget *b, size_t bytes)
{
    if (b->annotations == 0 || bytes > b->bytes)
        return false;
    b->annotations--;
    b->bytes -= bytes;
    return true;
}

/* MINIDUMP_LOCATION_DESCRIPTOR: size, then offset. */
static struct rd location(const struct mdmp *d, struct rd *r)
{
    uint32_t size = rd_u32(r);
    uint32_t rva = rd_u32(r);
    return mdmp_at(d, rva, size);
}

/* 8-4-4-4-12, lower case. */
static json_t *uuid(struct rd *r)
{
    char hex[33], text[37];
    mdmp_guid(r, hex);
    size_t n = 0;
    for (size_t i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            text[n++] = '-';
        text[n++] = (char)(hex[i] >= 'A' ? hex[i] - 'A' + 'a' : hex[i]);
    }
    return json_stringn(text, n);
}

/*
 * A key may hold bytes that are no UTF-8 or a NUL; jtext makes valid text of both, and the cleaned
 * key with its length is what the dictionary gets (a NUL in a name once lost the whole walk).
 */
static void set_annotation(json_t *dict, struct str key, struct str value)
{
    json_t *name = jtext(key);
    json_object_setn_new(dict, json_string_value(name), json_string_length(name), jtext(value));
    json_decref(name);
}

static json_t *dictionary(const struct mdmp *d, struct rd r, struct budget *budget)
{
    json_t *dict = json_object();
    uint32_t count = rd_left(&r) ? rd_u32(&r) : 0;
    for (uint32_t i = 0; i < count && rd_left(&r) >= 8; i++) {
        uint32_t key_rva = rd_u32(&r);
        uint32_t value_rva = rd_u32(&r);
        struct str key, value;
        if (!mdmp_utf8_string(d, key_rva, CRASHPAD_VALUE_MAX, &key, ERR_IGNORED) ||
            !mdmp_utf8_string(d, value_rva, CRASHPAD_VALUE_MAX, &value, ERR_IGNORED))
            continue;
        if (!spend(budget, key.n + value.n))
            break;
        set_annotation(dict, key, value);
    }
    return dict;
}

static json_t *string_list(const struct mdmp *d, struct rd r, struct budget *budget)
{
    json_t *all = json_array();
    uint32_t count = rd_left(&r) ? rd_u32(&r) : 0;
    for (uint32_t i = 0; i < count && rd_left(&r) >= 4; i++) {
        struct str value;
        if (!mdmp_utf8_string(d, rd_u32(&r), CRASHPAD_VALUE_MAX, &value, ERR_IGNORED))
            continue;
        if (!spend(budget, value.n))
            break;
        json_array_append_new(all, jtext(value));
    }
    return all;
}

static json_t *hex_text(struct rd bytes)
{
    FREE_LATER char *hex = xmalloc(2 * bytes.n + 1);
    hex_encode(bytes.p, bytes.n, hex);
    return json_string(hex);
}

/*
 * Typed annotations: 1 is text, everything from 0x8000 on belongs to the application, and 0 marks
 * one that was never set.
 */
static json_t *objects(const struct mdmp *d, struct rd r, struct budget *budget)
{
    json_t *all = json_array();
    uint32_t count = rd_left(&r) ? rd_u32(&r) : 0;
    for (uint32_t i = 0; i < count && rd_left(&r) >= 12; i++) {
        uint32_t name_rva = rd_u32(&r);
        uint16_t type = rd_u16(&r);
        rd_skip(&r, 2);
        uint32_t value_rva = rd_u32(&r);
        struct str name;
        struct rd head = mdmp_at(d, value_rva, 4);
        uint32_t len = rd_u32(&head);
        struct rd value = mdmp_at(d, (uint64_t)value_rva + 4, len);
        if (type == 0 || !rd_ok(&head) || !rd_ok(&value) || len > CRASHPAD_VALUE_MAX ||
            !mdmp_utf8_string(d, name_rva, CRASHPAD_VALUE_MAX, &name, ERR_IGNORED))
            continue;
        if (!spend(budget, name.n + len))
            break;
        json_t *o = json_object();
        jset_text(o, "name", name);
        jset_int(o, "type", type);
        if (type == ANNOTATION_STRING)
            jset_text(o, "value", str_n((const char *)value.p, len));
        else /* bytes whose meaning only the application knows */
            json_object_set_new(o, "value", hex_text(value));
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *modules(const struct mdmp *d, struct rd r, struct budget *budget)
{
    json_t *all = json_array();
    uint32_t count = rd_left(&r) ? rd_u32(&r) : 0;
    count = MIN(count, (uint32_t)MODULE_LINKS_MAX);
    for (uint32_t i = 0; i < count && rd_left(&r) >= 12; i++) {
        uint32_t index = rd_u32(&r);
        struct rd info = location(d, &r);
        uint32_t version = rd_u32(&info);
        struct rd list_body = location(d, &info);
        struct rd dict_body = location(d, &info);
        struct rd objects_body = location(d, &info);
        if (!rd_ok(&info) || version == 0 || !spend(budget, 0))
            continue;
        json_t *m = json_object();
        jset_int(m, "module_index", index);
        json_object_set_new(m, "list_annotations", string_list(d, list_body, budget));
        json_object_set_new(m, "simple_annotations", dictionary(d, dict_body, budget));
        json_object_set_new(m, "annotation_objects", objects(d, objects_body, budget));
        json_array_append_new(all, m);
    }
    return all;
}

json_t *crashpad_json(const struct mdmp *d)
{
    struct rd r;
    if (!mdmp_stream(d, MDMP_CRASHPAD_INFO, &r, ERR_IGNORED))
        return NULL;
    uint32_t version = rd_u32(&r);
    struct rd ids = r;
    rd_skip(&r, 32);
    struct rd simple = location(d, &r);
    struct rd links = location(d, &r);
    if (!rd_ok(&r) || version == 0)
        return NULL;

    /*
     * 8 MiB of text: far above what real clients send (some KiB), and little beside the arena of a
     * walk.
     */
    struct budget budget = {CRASHPAD_ANNOTATIONS_MAX, 8 << 20};
    json_t *info = json_object();
    json_object_set_new(info, "report_id", uuid(&ids));
    json_object_set_new(info, "client_id", uuid(&ids));
    json_object_set_new(info, "simple_annotations", dictionary(d, simple, &budget));
    json_object_set_new(info, "modules", modules(d, links, &budget));
    return info;
}

/*
 * Which bits of a pointer are an address, as the writer knows it from the CPU (arm64 with pointer
 * authentication). 0, also where an old writer's structure ends earlier, means that it does not
 * say.
 */
uint64_t crashpad_address_mask(const struct mdmp *d)
{
    struct rd r;
    if (!mdmp_stream(d, MDMP_CRASHPAD_INFO, &r, ERR_IGNORED))
        return 0;
    rd_skip(&r, ADDRESS_MASK_OFF);
    return rd_u64(&r);
}
