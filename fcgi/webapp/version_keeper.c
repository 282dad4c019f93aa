/*
 * The process that fetches documents with current versions, so that workers need not.  It looks at
 * the product files each second, asks for what is due with a few requests at once, and replaces the
 * file of documents when one of them changed.  One that cannot be had now stays as it was.
 *
 * The first address is the administrator's choice and may be one of the house.  Where that points
 * on is the choice of somebody else: a redirect is followed into the public Internet only.
 */
#include <stdlib.h>

#include "fcgi/webapp/version_documents.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/http/http.h"
#include "lib/json/json.h"

enum {
    LOOK_MS = 1000,       /* a product file that was written is seen within it */
    KEEP_MS = 3600000,    /* an hour and one or two minutes, as Crash Stats keeps them */
    KEEP_MORE_MS = 60000, /* … so that many installations do not ask at once */
    RETRY_MS = 60000,     /* behind a failure */
    AT_ONCE = 8,
    TIMEOUT_MS = 5000, /* a stop request waits no longer than this, or twice with a redirect */
};

/* A document that products name. */
struct named_document {
    char *url;
    int64_t due_ms; /* mono_ms */
};

struct version_keeping {
    struct version_keeper *shared;
    char *path;
    struct products products;
    struct named_document wanted[VERSION_DOCUMENTS_MAX];
    size_t n;
    json_t *documents; /* as the file has them */
    bool has_changed;
    struct named_document *asked[VERSION_DOCUMENTS_MAX]; /* by index of a request */
};

static struct named_document *find_wanted(struct named_document *v, size_t n, const char *url)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i].url, url) == 0)
            return &v[i];
    return NULL;
}

/* The addresses of all products, each once; what nobody names any more is forgotten. */
static void list_wanted(struct version_keeping *k)
{
    struct named_document fresh[VERSION_DOCUMENTS_MAX] = {0};
    size_t n = 0;
    for (size_t i = 0; i < k->products.n; i++)
        for (char **u = k->products.v[i].version_urls; u && u[0] && u[1]; u += 2) {
            if (n == VERSION_DOCUMENTS_MAX || find_wanted(fresh, n, u[1]))
                continue;
            const struct named_document *known = find_wanted(k->wanted, k->n, u[1]);
            fresh[n++] = (struct named_document){xstrdup(u[1]), known ? known->due_ms : 0};
        }
    for (size_t i = 0; i < k->n; i++)
        free(k->wanted[i].url);
    memcpy(k->wanted, fresh, n * sizeof *fresh);
    k->n = n;
    const char *url;
    json_t *document;
    void *next;
    json_object_foreach_safe (k->documents, next, url, document) {
        if (!find_wanted(k->wanted, k->n, url)) {
            json_object_del(k->documents, url);
            k->has_changed = true;
        }
    }
}

/* A document, or why there is none.  Only an object can have versions by name. */
static json_t *document_of(const struct http_response *answer, struct err *err)
{
    if (answer->status != 200) {
        err_set(err, ERR_UNAVAILABLE, "status %d%s%s", answer->status,
                *answer->location ? ", which points to " : "", answer->location);
        return NULL;
    }
    json_t *document =
        jparse_given(str_n(answer->body, answer->n), VERSION_DOCUMENT_BYTES_MAX, err);
    if (document && !json_is_object(document)) {
        json_decref(document);
        err_set(err, ERR_UNAVAILABLE, "the document is no object");
        return NULL;
    }
    return document;
}

static json_t *follow(const char *url, struct err *err)
{
    struct http_response answer;
    if (!http_do(&(struct http_request){.url = url,
                                        .timeout_ms = TIMEOUT_MS,
                                        .max_bytes = VERSION_DOCUMENT_BYTES_MAX},
                 &answer, err))
        return NULL;
    json_t *document = document_of(&answer, err);
    http_response_release(&answer);
    return document;
}

static void on_document(void *arg, size_t index, struct http_response *answer,
                        const struct err *failed)
{
    struct version_keeping *k = arg;
    struct named_document *w = k->asked[index];
    struct err err = failed ? *failed : (struct err){0};
    json_auto_t *document = NULL;
    if (answer && answer->status / 100 == 3 && *answer->location)
        document = follow(answer->location, &err);
    else if (answer)
        document = document_of(answer, &err);
    metric_add(k->shared->metrics, METRIC_VERSION_DOCUMENT, 1, document ? "success" : "failure");
    if (!document) {
        w->due_ms = mono_ms() + RETRY_MS;
        log_event(LOG_WARN, "version_document", "a document with versions cannot be had",
                  LOG_S("url", w->url), LOG_E(&err));
        return;
    }
    w->due_ms = mono_ms() + KEEP_MS + KEEP_MORE_MS + (int64_t)(random_u64() % KEEP_MORE_MS);
    if (!json_equal(json_object_get(k->documents, w->url), document)) {
        json_object_set(k->documents, w->url, document);
        k->has_changed = true;
    }
}

static bool ask_due(struct version_keeping *k, struct err *err)
{
    struct http_request requests[VERSION_DOCUMENTS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++) {
        if (k->wanted[i].due_ms > mono_ms())
            continue;
        k->asked[n] = &k->wanted[i];
        requests[n++] = (struct http_request){.url = k->wanted[i].url,
                                              .may_reach_reserved = true,
                                              .is_redirect_answer = true,
                                              .timeout_ms = TIMEOUT_MS,
                                              .max_bytes = VERSION_DOCUMENT_BYTES_MAX};
    }
    return n == 0 || http_do_all(requests, n, AT_ONCE, on_document, k, err);
}

static bool write_documents(struct version_keeping *k, struct err *err)
{
    size_t n;
    FREE_LATER char *text = jdump(k->documents, &n);
    if (!fs_write_atomic(k->path, text, n, FS_FILE_MODE, err))
        return false;
    k->has_changed = false;
    return true;
}

/* One look; the file that could not be written is tried again with the next. */
static bool look(struct version_keeping *k, struct err *err)
{
    int64_t stamp = k->products.stamp;
    if (!products_refresh(&k->products, err))
        return false;
    if (k->products.stamp != stamp)
        list_wanted(k);
    bool ok = ask_due(k, err) && (!k->has_changed || write_documents(k, err));
    metrics_flush(k->shared->metrics);
    return ok;
}

static void keep_until_told(struct version_keeping *k)
{
    bool was_ok = true;
    list_wanted(k);
    while (!proc_stopping()) {
        struct err err = {0};
        bool ok = look(k, &err);
        if (!ok && was_ok)
            log_event(LOG_WARN, "version_keeper", "versions of products cannot be kept",
                      LOG_E(&err));
        was_ok = ok;
        if (!proc_stopping())
            proc_wait(NULL, 0, LOOK_MS);
        proc_take_hangup(); /* what it reads is read again anyway */
    }
}

int version_keeper_run(void *arg, int index)
{
    struct conf conf = {0};
    struct err err = {0};
    struct version_keeping k = {.shared = arg};
    struct version_documents before = {0};
    (void)index;
    bool ok = conf_load(&conf, &err) &&
              products_load(conf_text(&conf, CONF_DATIL_VAR), &k.products, &err);
    if (ok) {
        version_documents_init(&before, conf_text(&conf, CONF_DATIL_VAR));
        version_documents_refresh(&before);
        k.path = before.path;
        k.documents = json_is_object(before.by_url) ? json_incref(before.by_url) : json_object();
        keep_until_told(&k);
    } else {
        log_event(LOG_ERROR, "start_failed", "versions of products cannot be kept", LOG_E(&err));
    }
    for (size_t i = 0; i < k.n; i++)
        free(k.wanted[i].url);
    json_decref(k.documents);
    version_documents_release(&before);
    products_release(&k.products);
    conf_release(&conf);
    return ok ? 0 : 1;
}
