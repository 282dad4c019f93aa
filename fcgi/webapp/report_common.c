/*
 * What several parts of the report page need, so that they need not know each other.
 */
#include "fcgi/webapp/report_common.h"

#include "fcgi/webapp/url_query.h"
#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/crash/reduce.h"
#include "lib/json/json.h"

bool report_is_protected(const struct report_page *c, const char *path)
{
    return !reduce_may_see(app_fields(c->req), str_of(path), PERM_PUBLIC);
}

struct str report_search_url(struct arena *a, const char *field, struct str value)
{
    struct query q = query_new(a);
    query_add(&q, field, value);
    return query_url(&q, "/search/");
}

/*
 * The processor's own number is asked first: for hangs while a program shut down it is thread 0,
 * whichever thread noticed the hang (rule ShutDownHangCrashingThread).  The walker repeats the
 * thread of the exception as json_dump.crashing_thread; that copy counts where the number is
 * unknown or points at no thread.
 */
const json_t *report_crashing_thread(const json_t *doc, int64_t *ret_index)
{
    const json_t *threads = jpath(doc, "json_dump.threads");
    int64_t i = -1;
    if (!jget_int(doc, "crashing_thread", &i) &&
        !jget_int(jpath(doc, "json_dump.crash_info"), "crashing_thread", &i))
        i = -1;
    *ret_index = i;
    if (i >= 0 && (size_t)i < json_array_size(threads))
        return json_array_get(threads, (size_t)i);
    return jpath(doc, "json_dump.crashing_thread");
}

const char *report_more_text(struct arena *a, size_t all, size_t shown)
{
    return all > shown ? arena_printf(a, "and %zu more, in the raw data", all - shown) : "";
}
