#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <regex.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/search.h"

/*
 * The engine against a naive evaluation: thousands of random documents in plain structs,
 * hundreds of random queries, every answer compared as a whole.  The naive side is written
 * from the description of Super Search alone and shares no code with lib/search.
 */
enum { DOCS = 3000, QUERIES = 700, VALUES_MAX = 8, CONDS_MAX = 4, STEPS_MAX = 3, DAY = 86400 };

/* FRAMES: of the crashing thread, in order; SET: of whatever there are several of, each once. */
enum kind { TEXT, SEMI, KEYWORD, LIST, FRAMES, SET, INT, DOUBLE, BOOL, DATE };

static const struct ofield {
    const char *name, *source;
    enum kind kind;
    bool is_enum;
    const char *vocabulary[12];
    int64_t range;
} fields[] = {
    {"signature",
     "signature",
     TEXT,
     false,
     {"OOM | small", "OOM | large", "mozilla::js::f", "js::break_it", "core::fmt<T>",
      "shutdownhang", "xul.dll@0x12ab", "Foo.bar:baz", "IPCError-browser | x", "", "a*b?c", "f"},
     0},
    {"product", "product", TEXT, true, {"Firefox", "Fenix", "Thunderbird", "Focus Nightly"}, 0},
    {"version",
     "version",
     KEYWORD,
     true,
     {"128.0", "128.0b3", "128.0b4", "129.0a1", "115.1esr", "128.0b"},
     0},
    {"platform", "os_name", TEXT, true, {"Windows", "Linux", "Mac OS X", "Android"}, 0},
    {"release_channel", "release_channel", KEYWORD, true, {"release", "beta", "Nightly", "esr"}, 0},
    {"address", "address", KEYWORD, false, {NULL}, 1500},
    {"addons", "addons", LIST, false, {"a@x:1", "b@x:2", "c:3", "d:4", "e:5"}, 0},
    {"topmost_filenames",
     "topmost_filenames",
     SEMI,
     false,
     {"a.cpp", "A.cpp;b.h", "b.h;c.h;;a.cpp", "Dir/X.cc", ";", "c.h"},
     0},
    {"uptime", "uptime", INT, false, {NULL}, 300},
    {"build_id", "build", INT, false, {NULL}, 40},
    {"content_sandbox_level", "content_sandbox_level", INT, false, {NULL}, 7},
    {"uptime_ts", "uptime_ts", DOUBLE, false, {NULL}, 50},
    {"accessibility", "accessibility", BOOL, false, {NULL}, 0},
    {"install_time", "install_time", INT, false, {NULL}, 60000},
    {"throttle_rate", "throttle_rate", DOUBLE, false, {NULL}, 50},
    {"frame_function",
     NULL,
     FRAMES,
     false,
     {"malloc", "Alloc::grow", "main", "js::Run", "js::Call", "f", "", "", "operator<", "g(a, b)"},
     0},
    {"thread_function",
     NULL,
     SET,
     false,
     {"main", "wait", "js::Run", "f", "poll", "g(a, b)", "Alloc::grow"},
     0},
    {"modules",
     NULL,
     SET,
     false,
     {"xul.dll/128.0.0.1", "xul.dll/9.10", "xul.dll/128.0", "xul.dll/0129", "libc.so", "a/2.0",
      "a/2.0.0.7"},
     0},
    {"date", "date_processed", DATE, false, {NULL}, 0},
    {"uuid", "uuid", KEYWORD, true, {NULL}, 0},
};
enum {
    FIELDS = ARRAY_LEN(fields),
    F_DATE = FIELDS - 2,
    F_UUID = FIELDS - 1,
    F_VERSION = 2,
    F_INSTALL_TIME = 13,
    F_RATE = 14,
    F_FRAMES = 15,
    F_THREADS = 16,
    F_MODULES = 17
};

struct value {
    int n; /* 0: missing */
    char text[VALUES_MAX][64];
    int64_t i;
    double d;
};

struct odoc {
    bool is_live;
    struct value v[FIELDS];
};

struct world {
    char dir[64];
    struct index_writer *w;
    struct index_reader *r;
    struct odoc docs[DOCS];
    int64_t now_us;
    uint64_t seed;
};

static uint64_t next(struct world *w)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return w->seed >> 33;
}

static int pick(struct world *w, int n)
{
    return (int)(next(w) % (uint64_t)n);
}

static int vocabulary_size(const struct ofield *f)
{
    int n = 0;
    while (n < 12 && f->vocabulary[n])
        n++;
    return n;
}

static void random_text(struct world *w, const struct ofield *f, char out[64])
{
    int n = vocabulary_size(f);
    if (n == 0)
        snprintf(out, 64, "0x%x", pick(w, (int)f->range + 1) * 7919);
    else if (f->kind == TEXT && f == &fields[0] && pick(w, 3) == 0)
        snprintf(out, 64, "rare::fn%d | tail", pick(w, 900));
    else
        snprintf(out, 64, "%s", f->vocabulary[pick(w, n)]);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Frames that all have no name are none; of a set each text stays once. */
static void settle(struct value *v, enum kind kind)
{
    int named = 0, n = 0;
    for (int i = 0; i < v->n; i++)
        named += *v->text[i] != '\0';
    if (kind == FRAMES && named == 0)
        v->n = 0;
    if (kind != SET)
        return;
    qsort(v->text, (size_t)v->n, sizeof v->text[0], by_bytes);
    for (int i = 0; i < v->n; i++)
        if (n == 0 || strcmp(v->text[n - 1], v->text[i]) != 0)
            memmove(v->text[n++], v->text[i], sizeof v->text[0]);
    v->n = n;
}

static bool is_many(int field)
{
    enum kind kind = fields[field].kind;
    return kind == LIST || kind == FRAMES || kind == SET;
}

static void random_doc(struct world *w, int number, struct odoc *d)
{
    *d = (struct odoc){.is_live = true};
    for (int i = 0; i < FIELDS; i++) {
        struct value *v = &d->v[i];
        v->n = pick(w, 5) > 0;
        if (v->n == 0)
            continue;
        if (is_many(i))
            v->n = pick(w, VALUES_MAX + 1);
        for (int k = 0; k < v->n; k++)
            random_text(w, &fields[i], v->text[k]);
        settle(v, fields[i].kind);
        v->i = pick(w, (int)fields[i].range + 1) - (i == 8 ? 20 : 0);
        v->d = (double)(pick(w, 200) - 100) / 8;
        if (fields[i].kind == BOOL)
            v->i = pick(w, 2);
    }
    d->v[F_DATE].n = d->v[F_UUID].n = 1;
    d->v[F_DATE].i = w->now_us - (int64_t)pick(w, 40 * DAY) * 1000000 - pick(w, 2) * 123456;
    snprintf(d->v[F_UUID].text[0], 64, "%08x-0000-4000-8000-0000%08d",
             (unsigned)number * 2654435761u, number);
}

/* Each third frame is a call that was inlined into the next. */
static json_t *frames_json(const struct value *v)
{
    json_t *frames = json_array(), *inlines = NULL;
    for (int i = 0; i < v->n; i++) {
        json_t *one = json_object();
        if (*v->text[i])
            json_object_set_new(one, "function", json_string(v->text[i]));
        if (i % 3 == 1 && i + 1 < v->n) {
            inlines = json_pack("[o]", one);
            continue;
        }
        if (inlines)
            json_object_set_new(one, "inlines", inlines);
        inlines = NULL;
        json_array_append_new(frames, one);
    }
    return frames;
}

/* What the walker says: stacks and modules. */
static json_t *dump_json(const struct odoc *d)
{
    json_t *threads = json_array(), *modules = json_array();
    const struct value *v = &d->v[F_THREADS];
    for (int i = v->n; i-- > 0;)
        json_array_append_new(threads,
                              json_pack("{s:[{s:s}, {}]}", "frames", "function", v->text[i]));
    v = &d->v[F_MODULES];
    for (int i = v->n; i-- > 0;) {
        json_t *module = json_object();
        size_t slash = strcspn(v->text[i], "/");
        json_object_set_new(module, "filename", json_stringn(v->text[i], slash));
        if (v->text[i][slash])
            json_object_set_new(module, "version", json_string(v->text[i] + slash + 1));
        json_array_append_new(modules, module);
    }
    return json_pack("{s:{s:o}, s:o, s:o}", "crashing_thread", "frames",
                     frames_json(&d->v[F_FRAMES]), "threads", threads, "modules", modules);
}

static json_t *doc_json(const struct odoc *d)
{
    json_t *out = json_object();
    json_object_set_new(out, "json_dump", dump_json(d));
    for (int i = 0; i < FIELDS; i++) {
        const struct value *v = &d->v[i];
        json_t *j = NULL;
        char text[TIME_TEXT_MAX];
        if (!fields[i].source || (v->n == 0 && fields[i].kind != LIST))
            continue;
        if (fields[i].kind == LIST) {
            j = json_array();
            for (int k = 0; k < v->n; k++)
                json_array_append_new(j, json_string(v->text[k]));
        } else if (fields[i].kind == DATE) {
            time_iso(v->i, false, text);
            j = json_string(text);
        } else if (strcmp(fields[i].name, "build_id") == 0) {
            snprintf(text, sizeof text, "%lld", (long long)v->i);
            j = json_string(text);
        } else if (fields[i].kind == INT) {
            j = json_integer(v->i);
        } else if (fields[i].kind == DOUBLE) {
            j = json_real(v->d);
        } else if (fields[i].kind == BOOL) {
            j = json_boolean(v->i);
        } else {
            j = json_string(v->text[0]);
        }
        if (i == F_RATE)
            json_object_set_new(out, "collector_metadata", json_pack("{s:o}", "throttle_rate", j));
        else
            json_object_set_new(out, fields[i].source, j);
    }
    return out;
}

static int pieces(const struct odoc *d, int field, char out[16][64])
{
    const struct value *v = &d->v[field];
    int n = 0;
    for (int k = 0; k < v->n; k++) {
        char lower[64], *rest = lower;
        snprintf(lower, sizeof lower, "%s", v->text[k]);
        if (fields[field].kind != SEMI) {
            bool is_new = fields[field].kind != FRAMES || *lower;
            for (int i = 0; i < n; i++)
                is_new = is_new && strcmp(out[i], lower) != 0;
            if (is_new)
                snprintf(out[n++], 64, "%s", lower);
            continue;
        }
        for (char *p = lower; *p; p++)
            *p = (char)tolower(*p);
        for (char *one; (one = strsep(&rest, ";"));) {
            bool is_new = *one != '\0';
            for (int i = 0; i < n; i++)
                is_new = is_new && strcmp(out[i], one) != 0;
            if (is_new)
                snprintf(out[n++], 64, "%s", one);
        }
    }
    return n;
}

static bool joins(char a, char mark, char b)
{
    if (isalpha(a) && isalpha(b))
        return mark == '.' || mark == ':' || mark == '\'';
    return isdigit(a) && isdigit(b) && (mark == '.' || mark == ',' || mark == ';' || mark == '\'');
}

static int words(const char *s, char out[32][64])
{
    int n = 0;
    while (*s) {
        int len = 0;
        if (!isalnum(*s) && *s != '_') {
            s++;
            continue;
        }
        while (isalnum(*s) || *s == '_' || (*s && len > 0 && joins(s[-1], *s, s[1])))
            out[n][len++] = (char)tolower(*s++);
        out[n++][len] = '\0';
    }
    return n;
}

static bool share_word(const char *a, const char *b)
{
    char x[32][64], y[32][64];
    int n = words(a, x), m = words(b, y);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < m; k++)
            if (strcmp(x[i], y[k]) == 0)
                return true;
    return false;
}

struct ostep {
    char op[2];
    bool is_negated, is_direct;
    char text[64];
    int first, last;
};

struct ocond {
    char op[12]; /* "" plain */
    bool is_negated;
    char text[64];
    int64_t i;
    double d;
    struct ostep steps[STEPS_MAX]; /* the first one's operator and text are those above */
    int step_count;                /* 0: no condition on frames in a row */
    char version[16];              /* not "": of a module */
};

struct ofilter {
    int field;
    struct ocond conds[CONDS_MAX];
    int n;
};

static bool like(const char *p, const char *s) /* with * and ? */
{
    if (*p == '\0')
        return *s == '\0';
    if (*p == '*')
        return like(p + 1, s) || (*s && like(p, s + 1));
    return *s && (*p == '?' || *p == *s) && like(p + 1, s + 1);
}

static bool text_holds(const struct ocond *c, enum kind kind, const char *piece)
{
    char pattern[80];
    if (strcmp(c->op, "=") == 0)
        return strcmp(piece, c->text) == 0;
    if (strcmp(c->op, "~") == 0)
        return snprintf(pattern, sizeof pattern, "*%s*", c->text) && like(pattern, piece);
    if (strcmp(c->op, "^") == 0)
        return snprintf(pattern, sizeof pattern, "%s*", c->text) && like(pattern, piece);
    if (strcmp(c->op, "$") == 0)
        return snprintf(pattern, sizeof pattern, "*%s", c->text) && like(pattern, piece);
    if (strcmp(c->op, "@") == 0) {
        regex_t re;
        snprintf(pattern, sizeof pattern, "^(%s)$", c->text);
        assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
        bool yes = regexec(&re, piece, 0, NULL, 0) == 0;
        regfree(&re);
        return yes;
    }
    if (kind == TEXT)
        return share_word(piece, c->text);
    if (kind == SEMI) {
        struct odoc query = {0};
        char tokens[16][64];
        query.v[7].n = 1;
        snprintf(query.v[7].text[0], 64, "%s", c->text);
        for (int i = pieces(&query, 7, tokens); i-- > 0;)
            if (strcmp(tokens[i], piece) == 0)
                return true;
        return false;
    }
    return strcmp(piece, c->text) == 0;
}

static bool compare_holds(const char *op, double cmp)
{
    if (strcmp(op, ">") == 0)
        return cmp > 0;
    if (strcmp(op, ">=") == 0)
        return cmp >= 0;
    if (strcmp(op, "<") == 0)
        return cmp < 0;
    if (strcmp(op, "<=") == 0)
        return cmp <= 0;
    return cmp == 0;
}

/* From frame i on: is there one for step k, and so on? */
static bool steps_hold(const struct value *v, const struct ocond *c, int k, int i)
{
    const struct ostep *s = &c->steps[k];
    if (k == c->step_count)
        return true;
    for (; i < v->n; i++) {
        struct ocond one = {0};
        snprintf(one.op, sizeof one.op, "%s", s->op);
        snprintf(one.text, sizeof one.text, "%s", s->text);
        bool yes = *v->text[i] && text_holds(&one, KEYWORD, v->text[i]);
        if (yes != s->is_negated && i >= s->first && i <= s->last && steps_hold(v, c, k + 1, i + 1))
            return true;
        if (k > 0 && s->is_direct)
            return false;
    }
    return false;
}

static bool version_holds(const struct ocond *c, const char *element)
{
    int a[4] = {0}, b[4] = {0};
    double compared = 0;
    size_t n = strlen(c->text);
    if (strncmp(element, c->text, n) != 0 || element[n] != '/')
        return false;
    sscanf(element + n + 1, "%d.%d.%d.%d", &a[0], &a[1], &a[2], &a[3]);
    sscanf(c->version, "%d.%d.%d.%d", &b[0], &b[1], &b[2], &b[3]);
    for (int i = 0; i < 4 && compared == 0; i++)
        compared = a[i] - b[i];
    return compare_holds(c->op, compared);
}

static bool holds(const struct odoc *d, int field, const struct ocond *c)
{
    const struct value *v = &d->v[field];
    enum kind kind = fields[field].kind;
    if (strcmp(c->op, "__null__") == 0)
        return v->n == 0;
    if (v->n == 0)
        return false;
    if (kind == INT)
        return compare_holds(c->op, (double)(v->i - c->i));
    if (kind == DOUBLE)
        return compare_holds(c->op, v->d - c->d);
    if (kind == BOOL)
        return strcmp(c->op, "__true__") == 0 ? v->i : v->i == c->i;
    char list[16][64];
    if (c->step_count > 0)
        return steps_hold(v, c, 0, 0);
    for (int i = pieces(d, field, list); i-- > 0;)
        if (*c->version ? version_holds(c, list[i]) : text_holds(c, kind, list[i]))
            return true;
    return false;
}

static bool is_family(const struct ofilter *f, const struct ocond *c)
{
    size_t n = strlen(c->text);
    return f->field == F_VERSION && !*c->op && n > 0 && c->text[n - 1] == 'b';
}

struct folder {
    bool acc, is_first;
};

static void fold_in(struct folder *f, bool yes, bool with_and)
{
    f->acc = f->is_first ? yes : with_and ? f->acc && yes : f->acc || yes;
    f->is_first = false;
}

static bool filter_holds(const struct odoc *d, const struct ofilter *f)
{
    struct folder acc = {false, true};
    for (int i = 0; i < f->n; i++)
        if (*f->conds[i].op)
            fold_in(&acc, holds(d, f->field, &f->conds[i]) != f->conds[i].is_negated,
                    strchr("<>", f->conds[i].op[0]) != NULL);
    for (int negated = 1; negated >= 0; negated--) {
        bool any = false, has = false;
        for (int i = 0; i < f->n; i++) {
            const struct ocond *c = &f->conds[i];
            if (*c->op || c->is_negated != negated || is_family(f, c))
                continue;
            has = true;
            any = any || holds(d, f->field, c);
        }
        if (has)
            fold_in(&acc, negated ? !any : any, false);
    }
    for (int i = 0; i < f->n; i++)
        if (is_family(f, &f->conds[i])) {
            struct ocond c = f->conds[i];
            snprintf(c.op, sizeof c.op, "^");
            fold_in(&acc, holds(d, f->field, &c) != c.is_negated, false);
        }
    return acc.acc;
}

/* Names of figures; those of percentiles are read for their number. */
static const char *const figures[] = {"avg", "sum", "min", "max", "p1", "p50", "p75", "p99"};

struct oagg {
    char kind; /* 't', 'h', 'c', 'f': a figure */
    int field;
    const char *figure;
    int different; /* values of the slots looked at so far, each once in a slot */
    struct oagg *children[3];
    int n;
};

struct query {
    struct ofilter filters[3];
    int filter_count;
    int64_t from_us, to_us;
    int sort[3]; /* field + 1, negative: descending */
    int sort_count;
    int columns[4], column_count;
    int offset, number, facets_size;
    int exact_values; /* that percentiles hold */
    bool by_installations, has_weights;
    struct oagg pool[12];
    int pool_n;
    struct oagg *aggs[4];
    int agg_count;
    int64_t int_width;
    double double_width;
    const char *date_width;
    char text[4096];
};

struct term {
    char text[64];
    int64_t i;
    double d;
    int count, installations;
    int cap;
    const struct odoc **docs;
};

static int64_t date_bucket(const char *unit, int64_t us)
{
    struct civil c = civil_of_us(us);
    c.hour = c.minute = c.second = c.micro = 0;
    if (strcmp(unit, "month") == 0)
        c.day = 1;
    if (strcmp(unit, "year") == 0)
        c.day = c.month = 1;
    int64_t start = civil_to_us(c);
    return strcmp(unit, "week") == 0 ? start - weekday_of_us(us) * (int64_t)DAY * 1000000 : start;
}

/* The terms of one document. */
static int doc_terms(const struct query *q, const struct oagg *a, const struct odoc *d,
                     struct term *out)
{
    const struct value *v = &d->v[a->field];
    char list[16][64];
    if (v->n == 0)
        return 0;
    memset(out[0].text, 0, 64);
    out[0].i = v->i;
    out[0].d = v->d;
    switch (fields[a->field].kind) {
    case INT:
        if (a->kind == 'h')
            out[0].i = (int64_t)floor((double)v->i / (double)q->int_width) * q->int_width;
        return 1;
    case DOUBLE:
        if (a->kind == 'h')
            out[0].d = floor(v->d / q->double_width) * q->double_width;
        return 1;
    case DATE:
        if (a->kind == 'h')
            out[0].i = date_bucket(q->date_width, v->i);
        else if (a->kind == 't')
            out[0].i = v->i / 1000000 * 1000000;
        return 1;
    case BOOL:
        return 1;
    default:
        break;
    }
    int n = pieces(d, a->field, list);
    for (int i = 0; i < n; i++) {
        snprintf(out[i].text, 64, "%s", list[i]);
        out[i].i = 0;
        out[i].d = 0;
    }
    return n;
}

static enum kind sort_kind;
static int term_order(const struct term *a, const struct term *b)
{
    if (sort_kind == DOUBLE)
        return a->d < b->d ? -1 : a->d > b->d;
    if (a->i != b->i)
        return a->i < b->i ? -1 : 1;
    return strcmp(a->text, b->text);
}

static bool sort_by_count;
static int by_listing(const void *pa, const void *pb)
{
    const struct term *a = *(struct term *const *)pa, *b = *(struct term *const *)pb;
    if (a->installations != b->installations)
        return b->installations - a->installations;
    if (sort_by_count && a->count != b->count)
        return b->count - a->count;
    return term_order(a, b);
}

static json_t *term_value(const struct oagg *a, const struct term *t)
{
    char text[40];
    struct civil c = civil_of_us(t->i);
    switch (fields[a->field].kind) {
    case INT:
        return json_integer(t->i);
    case DOUBLE:
        return json_real(t->d == 0 ? 0 : t->d);
    case BOOL:
        return json_string(t->i ? "T" : "F");
    case DATE:
        snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day,
                 c.hour, c.minute, c.second);
        return json_string(text);
    default:
        return json_string(t->text);
    }
}

static double value_of(const struct odoc *d, int field)
{
    return fields[field].kind == DOUBLE ? d->v[field].d : (double)d->v[field].i;
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The middle of all numbers that have the same eight leading bits; whole ones of eight bits stay.
 */
static double rounded(double v, int field)
{
    int e;
    double m = frexp(fabs(v), &e); /* 0.5 … 1 */
    if (v == 0 || (fields[field].kind == INT && fabs(v) < 256))
        return v;
    double low = floor(m * 256);
    if (fields[field].kind == DOUBLE && low == m * 256)
        return v;
    return copysign(ldexp(low + 0.5, e - 8), v);
}

static json_t *figure_value(const struct oagg *a, double v)
{
    return fields[a->field].kind == DOUBLE ? json_real(v) : json_integer((json_int_t)v);
}

/* Different install times; reports without one are of no installation. */
static int installations(const struct odoc *const *docs, int n)
{
    double *v = calloc((size_t)n + 1, sizeof *v);
    int count = 0, different = 0;
    for (int i = 0; i < n; i++)
        if (docs[i]->v[F_INSTALL_TIME].n)
            v[count++] = value_of(docs[i], F_INSTALL_TIME);
    qsort(v, (size_t)count, sizeof *v, by_number);
    for (int i = 0; i < count; i++)
        different += i == 0 || v[i] != v[i - 1];
    free(v);
    return different;
}

/* Each report stands for 1 / rate, to a thousandth, where there is a rate between 0 and 1. */
static json_t *estimate(const struct odoc *const *docs, int n)
{
    long thousandths = 0;
    for (int i = 0; i < n; i++) {
        const struct value *rate = &docs[i]->v[F_RATE];
        bool counts = rate->n && rate->d > 0 && rate->d < 1;
        thousandths += counts ? lround(1000 / rate->d) : 1000;
    }
    return json_integer((thousandths + 500) / 1000);
}

static bool is_counting_values;

/* All values in order; sums of the test's numbers are exact in doubles. */
static void figure_naive(const struct query *q, struct oagg *a, const struct odoc *const *docs,
                         int n, json_t *into)
{
    double *v = calloc((size_t)n + 1, sizeof *v), sum = 0;
    char key[64];
    int count = 0;
    json_t *out = json_object();
    for (int i = 0; i < n; i++)
        if (docs[i]->v[a->field].n)
            sum += v[count++] = value_of(docs[i], a->field);
    qsort(v, (size_t)count, sizeof *v, by_number);
    for (int i = 0; is_counting_values && i < count; i++)
        a->different += i == 0 || v[i] != v[i - 1];
    json_t *value = json_null();
    if (a->figure[0] == 'p') {
        int percent = (int)strtol(a->figure + 1, NULL, 10),
            rank = MAX((count * percent + 99) / 100, 1);
        bool is_rounded = a->different > q->exact_values;
        if (count)
            value = figure_value(a, is_rounded ? rounded(v[rank - 1], a->field) : v[rank - 1]);
        if (is_rounded)
            json_object_set_new(out, "relative_error", json_real(1 / 256.0));
    } else if (count) {
        value = strcmp(a->figure, "avg") == 0
                    ? json_real((double)((long double)sum / (long double)count))
                : strcmp(a->figure, "sum") == 0
                    ? figure_value(a, sum)
                    : figure_value(a, v[a->figure[1] == 'a' ? count - 1 : 0]);
    }
    json_object_set_new(out, "value", value);
    snprintf(key, sizeof key, "%s_%s", a->figure, fields[a->field].name);
    json_object_set_new(into, key, out);
    free(v);
}

static void agg_naive(const struct query *q, struct oagg *a, const struct odoc *const *docs, int n,
                      json_t *into)
{
    if (a->kind == 'f') {
        figure_naive(q, a, docs, n, into);
        return;
    }
    struct term *one = calloc(16, sizeof *one),
                **terms = calloc((size_t)n * VALUES_MAX + 1, sizeof *terms);
    int term_count = 0;
    enum kind kind = fields[a->field].kind;
    for (int i = 0; i < n; i++) {
        int m = doc_terms(q, a, docs[i], one);
        for (int k = 0; k < m; k++) {
            int t = 0;
            sort_kind = kind;
            while (t < term_count && term_order(terms[t], &one[k]) != 0)
                t++;
            if (t == term_count) {
                terms[term_count++] = malloc(sizeof **terms);
                *terms[t] = one[k];
            }
            if (terms[t]->count == terms[t]->cap) {
                terms[t]->cap = MAX(terms[t]->cap * 2, 4);
                terms[t]->docs =
                    realloc(terms[t]->docs, (size_t)terms[t]->cap * sizeof *terms[t]->docs);
            }
            terms[t]->docs[terms[t]->count++] = docs[i];
        }
    }
    char key[64];
    snprintf(key, sizeof key, "%s%s",
             a->kind == 'h'   ? "histogram_"
             : a->kind == 'c' ? "cardinality_"
                              : "",
             fields[a->field].name);
    if (a->kind == 'c') {
        json_object_set_new(into, key, json_pack("{s:i}", "value", term_count));
    } else {
        sort_kind = kind;
        sort_by_count = a->kind == 't';
        for (int t = 0; q->by_installations && a->kind == 't' && t < term_count; t++)
            terms[t]->installations = installations(terms[t]->docs, terms[t]->count);
        qsort(terms, (size_t)term_count, sizeof *terms, by_listing);
        json_t *list = json_array();
        for (int t = 0; t < term_count && (a->kind == 'h' || t < q->facets_size); t++) {
            json_t *bucket =
                json_pack("{s:o, s:i}", "term", term_value(a, terms[t]), "count", terms[t]->count);
            if (q->by_installations && a->kind == 't')
                json_object_set_new(bucket, "installations", json_integer(terms[t]->installations));
            if (q->has_weights)
                json_object_set_new(bucket, "estimate", estimate(terms[t]->docs, terms[t]->count));
            json_t *inner = json_object();
            for (int c = 0; c < a->n; c++)
                agg_naive(q, a->children[c], terms[t]->docs, terms[t]->count, inner);
            if (a->n > 0)
                json_object_set(bucket, "facets", inner);
            json_decref(inner);
            json_array_append_new(list, bucket);
        }
        json_object_set_new(into, key, list);
    }
    for (int t = 0; t < term_count; t++) {
        free(terms[t]->docs);
        free(terms[t]);
    }
    free(terms);
    free(one);
}

static const struct query *sort_query;

static int compare_values(const struct odoc *a, const struct odoc *b, int field, bool descending)
{
    const struct value *x = &a->v[field], *y = &b->v[field];
    char p[16][64], q[16][64];
    int cmp = 0;
    enum kind kind = fields[field].kind;
    if (kind == INT || kind == DATE || kind == BOOL || kind == DOUBLE) {
        if (x->n == 0 || y->n == 0)
            return (x->n == 0) - (y->n == 0);
        double delta = kind == DOUBLE ? x->d - y->d : (double)(x->i - y->i);
        cmp = delta < 0 ? -1 : delta > 0;
        return descending ? -cmp : cmp;
    }
    int n = pieces(a, field, p), m = pieces(b, field, q), best_x = 0, best_y = 0;
    if (n == 0 || m == 0)
        return (n == 0) - (m == 0);
    for (int i = 1; i < n; i++)
        if ((strcmp(p[i], p[best_x]) < 0) != descending)
            best_x = i;
    for (int i = 1; i < m; i++)
        if ((strcmp(q[i], q[best_y]) < 0) != descending)
            best_y = i;
    cmp = strcmp(p[best_x], q[best_y]);
    return descending ? -cmp : cmp;
}

static int by_sort(const void *pa, const void *pb)
{
    const struct odoc *a = *(const struct odoc *const *)pa, *b = *(const struct odoc *const *)pb;
    for (int i = 0; i < sort_query->sort_count; i++) {
        int key = sort_query->sort[i];
        int cmp = compare_values(a, b, abs(key) - 1, key < 0);
        if (cmp)
            return cmp;
    }
    if (sort_query->sort_count == 0 && a->v[F_DATE].i != b->v[F_DATE].i)
        return a->v[F_DATE].i > b->v[F_DATE].i ? -1 : 1;
    return strcmp(a->v[F_UUID].text[0], b->v[F_UUID].text[0]);
}

static json_t *hit_value(const struct odoc *d, int field)
{
    const struct value *v = &d->v[field];
    char text[TIME_TEXT_MAX];
    if (v->n == 0)
        return json_null();
    switch (fields[field].kind) {
    case INT:
        return json_integer(v->i);
    case DOUBLE:
        return json_real(v->d);
    case BOOL:
        return json_boolean(v->i);
    case DATE:
        time_iso(v->i, false, text);
        return json_string(text);
    case LIST:
    case FRAMES:
    case SET:
        if (v->n > 1) {
            json_t *list = json_array();
            for (int i = 0; i < v->n; i++)
                json_array_append_new(list, json_string(v->text[i]));
            return list;
        }
        return json_string(v->text[0]);
    default:
        return json_string(v->text[0]);
    }
}

static json_t *answer_naive(const struct world *w, const struct query *q)
{
    static const struct odoc *found[DOCS];
    int n = 0;
    for (int i = 0; i < DOCS; i++) {
        const struct odoc *d = &w->docs[i];
        bool yes = d->is_live && d->v[F_DATE].i >= q->from_us && d->v[F_DATE].i < q->to_us;
        for (int f = 0; yes && f < q->filter_count; f++)
            yes = filter_holds(d, &q->filters[f]);
        if (yes)
            found[n++] = d;
    }
    json_t *facets = json_object(), *hits = json_array();
    /* once to see how many different values there are in all slots, once with that known */
    json_t *first = json_object();
    for (int i = 0; q->facets_size > 0 && i < q->agg_count; i++) {
        is_counting_values = true;
        agg_naive(q, q->aggs[i], found, n, first);
        is_counting_values = false;
        agg_naive(q, q->aggs[i], found, n, facets);
    }
    json_decref(first);
    json_t *total = q->has_weights ? estimate(found, n) : NULL;
    sort_query = q;
    qsort(found, (size_t)n, sizeof *found, by_sort);
    for (int i = q->offset; i < n && i < q->offset + q->number; i++) {
        json_t *hit = json_object();
        for (int c = 0; c < q->column_count; c++)
            json_object_set_new(hit, fields[q->columns[c]].name,
                                hit_value(found[i], q->columns[c]));
        json_array_append_new(hits, hit);
    }
    return json_pack("{s:o, s:i, s:o, s:[], s:o*}", "hits", hits, "total", n, "facets", facets,
                     "errors", "estimated_total", total);
}

__attribute__((format(printf, 2, 3))) static void say(struct query *q, const char *fmt, ...)
{
    size_t n = strlen(q->text);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(q->text + n, sizeof q->text - n, fmt, ap);
    va_end(ap);
}

/* The condition is the first of some frames. */
static void random_steps(struct world *w, int field, struct ocond *c)
{
    static const char *const ops[] = {"", "=", "~", "^"};
    c->step_count = 1 + pick(w, STEPS_MAX);
    for (int k = 0; k < c->step_count; k++) {
        struct ostep *s = &c->steps[k];
        do
            random_text(w, &fields[field], s->text);
        while (!*s->text);
        snprintf(s->op, sizeof s->op, "%s", ops[pick(w, 4)]);
        s->is_negated = k > 0 && pick(w, 4) == 0;
        s->is_direct = pick(w, 2);
        if (strchr("~^", *s->op) && *s->op)
            s->text[1 + pick(w, 3)] = '\0';
        s->last = 1000;
        if (pick(w, 3) == 0 || c->step_count == 1) {
            s->first = pick(w, 4);
            s->last = s->first + pick(w, 3);
        }
    }
    if (!*c->steps[0].op)
        c->steps[0].op[0] = '=';
    c->op[0] = c->steps[0].op[0];
    c->op[1] = '\0';
}

static void random_version(struct world *w, struct ocond *c)
{
    static const char *const ops[] = {"<", "<=", ">", ">="};
    static const char *const versions[] = {"128", "128.0.0.1", "9.9", "2", "10", "129.0"};
    snprintf(c->op, sizeof c->op, "%s", ops[pick(w, 4)]);
    snprintf(c->text, sizeof c->text, "%s", pick(w, 3) ? "xul.dll" : "a");
    snprintf(c->version, sizeof c->version, "%s", versions[pick(w, 6)]);
}

static void random_cond(struct world *w, int field, struct ocond *c)
{
    static const char *const text_ops[] = {"", "", "", "=", "~", "^", "$", "@", "__null__"};
    static const char *const number_ops[] = {"", ">", ">=", "<", "<=", "__null__", "="};
    static const char *const bool_ops[] = {"", "__true__", "__null__"};
    static const char *const enum_ops[] = {"", "", "=", "__null__"};
    static const char *const patterns[] = {".*::.*", "[a-m].*",   "(OOM|js).*",  "a?.*[0-9]+",
                                           "x*",     "[^a-z]+.*", ".*(b|c)\\.h", "0x[0-9a-f]{3,4}"};
    enum kind kind = fields[field].kind;
    *c = (struct ocond){.is_negated = pick(w, 4) == 0};
    const char *op = kind == BOOL                    ? bool_ops[pick(w, 3)]
                     : kind == INT || kind == DOUBLE ? number_ops[pick(w, 7)]
                     : fields[field].is_enum         ? enum_ops[pick(w, 4)]
                                                     : text_ops[pick(w, 9)];
    snprintf(c->op, sizeof c->op, "%s", op);
    c->i = kind == BOOL ? pick(w, 2) : pick(w, (int)fields[field].range + 1);
    c->d = (double)(pick(w, 200) - 100) / 8;
    random_text(w, &fields[field], c->text);
    size_t n = strlen(c->text);
    if (strchr("~^$", *op) && *op && n > 3) { /* a piece, sometimes with a wildcard */
        size_t from = (size_t)pick(w, (int)n / 2);
        memmove(c->text, c->text + from, n - from + 1);
        c->text[1 + pick(w, (int)(n - from))] = '\0';
        if (pick(w, 3) == 0)
            c->text[pick(w, (int)strlen(c->text))] = pick(w, 2) ? '*' : '?';
    }
    if (*op == '@')
        snprintf(c->text, sizeof c->text, "%s", patterns[pick(w, ARRAY_LEN(patterns))]);
    if (!*op && (*c->text == '\0' || strchr("=~$^@!", *c->text)))
        snprintf(c->text, sizeof c->text, "plain");
    if (field == F_FRAMES && pick(w, 2))
        random_steps(w, field, c);
    else if (field == F_MODULES && pick(w, 2))
        random_version(w, c);
}

static void say_steps(struct query *q, const struct ocond *c)
{
    for (int k = 0; k < c->step_count; k++) {
        const struct ostep *s = &c->steps[k];
        if (k > 0)
            say(q, "%s%s", s->is_direct ? " <- " : " <-- ", s->is_negated ? "!" : "");
        say(q, "%s%s", s->op, s->text);
        if (s->last < 1000)
            say(q, s->first == s->last ? " @%d" : " @%d-%d", s->first, s->last);
    }
}

static void say_cond(struct query *q, int field, const struct ocond *c)
{
    enum kind kind = fields[field].kind;
    say(q, "&%s=%s", fields[field].name, c->is_negated ? "!" : "");
    if (c->step_count > 0) {
        say_steps(q, c);
        return;
    }
    if (*c->version) {
        say(q, "%s%s%s", c->text, c->op, c->version);
        return;
    }
    say(q, "%s", c->op);
    if (strncmp(c->op, "__", 2) == 0)
        return;
    if (kind == INT)
        say(q, "%lld", (long long)c->i);
    else if (kind == DOUBLE)
        say(q, "%g", c->d);
    else if (kind == BOOL)
        say(q, "%s", c->i ? "true" : "no");
    else
        say(q, "%s", c->text);
}

static void random_filters(struct world *w, struct query *q)
{
    int first = pick(w, F_DATE);
    q->filter_count = pick(w, 4);
    for (int i = 0; i < q->filter_count; i++) {
        struct ofilter *f = &q->filters[i];
        f->field = (first + 5 * i) % F_DATE; /* each field once */
        f->n = 1 + pick(w, 3);
        for (int k = 0; k < f->n; k++) {
            random_cond(w, f->field, &f->conds[k]);
            say_cond(q, f->field, &f->conds[k]);
        }
    }
}

static void random_dates(struct world *w, struct query *q)
{
    char text[TIME_TEXT_MAX];
    int64_t now_s = w->now_us / 1000000, from = now_s - pick(w, 45 * DAY);
    int64_t to = from + pick(w, 20 * DAY);
    bool strict_from = pick(w, 2), strict_to = pick(w, 2);
    q->from_us = from * 1000000 + strict_from;
    q->to_us = to * 1000000 + !strict_to;
    time_iso_s(from, text);
    say(q, "date=>%s%.19s", strict_from ? "" : "=", text);
    time_iso_s(to, text);
    say(q, "&date=<%s%.19s", strict_to ? "" : "=", text);
}

static bool has_histogram(int field)
{
    return fields[field].kind == INT || fields[field].kind == DOUBLE || fields[field].kind == DATE;
}

static struct oagg *random_agg(struct world *w, struct query *q, int field, bool may_be_histogram)
{
    struct oagg *a = &q->pool[q->pool_n++];
    *a = (struct oagg){.kind = 't', .field = field};
    if (pick(w, 3) == 0)
        a->kind = 'c';
    if (may_be_histogram && has_histogram(field) && pick(w, 2))
        a->kind = 'h';
    if (may_be_histogram && has_histogram(field) && fields[field].kind != DATE && pick(w, 3) > 0) {
        a->kind = 'f';
        a->figure = figures[pick(w, ARRAY_LEN(figures))];
    }
    return a;
}

static void say_value(struct query *q, const struct oagg *a)
{
    if (a->kind == 'f') {
        say(q, "=_%s.%s", a->figure, fields[a->field].name);
        return;
    }
    say(q, "=%s%s",
        a->kind == 'h'   ? "_histogram."
        : a->kind == 'c' ? "_cardinality."
                         : "",
        fields[a->field].name);
}

/* Up to three roots on different fields: a facet, a chain, a histogram with something inside. */
static void random_aggs(struct world *w, struct query *q)
{
    int first = pick(w, 3) ? pick(w, 5) : F_FRAMES + pick(w, 3);
    q->int_width = 1 + pick(w, 90);
    q->double_width = (double)(1 + pick(w, 40)) / 4;
    q->date_width = (const char *const[]){"day", "week", "month", "year"}[pick(w, 4)];
    say(q, "&_histogram_interval.uptime=%d&_histogram_interval.build_id=%d", (int)q->int_width,
        (int)q->int_width);
    say(q, "&_histogram_interval.content_sandbox_level=%d&_histogram_interval.uptime_ts=%g",
        (int)q->int_width, q->double_width);
    say(q, "&_histogram_interval.install_time=%d&_histogram_interval.throttle_rate=%g",
        (int)q->int_width, q->double_width);
    say(q, "&_histogram_interval.date=%s", q->date_width);
    struct oagg *a = q->aggs[q->agg_count++] = random_agg(w, q, first, true);
    say(q, "&_facets");
    say_value(q, a);
    if (pick(w, 2)) { /* F1.F2[.F3] = one or two values */
        struct oagg *at = q->aggs[q->agg_count++] = random_agg(w, q, 5 + pick(w, 3), false);
        char path[256] = "";
        at->kind = 't';
        snprintf(path, sizeof path, "&_aggs.%s", fields[at->field].name);
        for (int depth = pick(w, 3); depth > 0; depth--) {
            struct oagg *inner = random_agg(w, q, pick(w, FIELDS), false);
            inner->kind = 't';
            at->children[at->n++] = inner;
            at = inner;
            snprintf(path + strlen(path), sizeof path - strlen(path), ".%s",
                     fields[at->field].name);
        }
        int base = pick(w, FIELDS - 1);
        for (int i = 1 + pick(w, 2); i > 0; i--) {
            struct oagg *leaf = at->children[at->n++] = random_agg(w, q, base + i - 1, true);
            say(q, "%s", path);
            say_value(q, leaf);
        }
    }
    q->by_installations = pick(w, 3) == 0;
    q->has_weights = pick(w, 3) == 0;
    say(q, "%s%s", q->by_installations ? "&_facets_sort=installations" : "",
        q->has_weights ? "&_weights=1" : "");
    q->exact_values = pick(w, 2) ? 1 << 20 : 1 + pick(w, 400);
    if (pick(w, 2)) {
        struct oagg *total = q->aggs[q->agg_count++] = random_agg(w, q, 8, false);
        total->kind = 'f';
        total->field = (const int[]){8, 9, 11, 13}[pick(w, 4)];
        total->figure = figures[pick(w, ARRAY_LEN(figures))];
        say(q, "&_facets");
        say_value(q, total);
    }
    if (pick(w, 2)) {
        int field = (const int[]){8, 9, 11, F_DATE}[pick(w, 4)];
        struct oagg *h = q->aggs[q->agg_count++] = random_agg(w, q, field, false);
        h->kind = 'h';
        struct oagg *leaf = h->children[h->n++] = random_agg(w, q, pick(w, FIELDS), true);
        say(q, "&_histogram.%s", fields[field].name);
        say_value(q, leaf);
    }
    q->facets_size = (const int[]){0, 1, 2, 5, 50, 10000}[pick(w, 6)];
    say(q, "&_facets_size=%d", q->facets_size);
}

static void random_hits(struct world *w, struct query *q)
{
    q->sort_count = pick(w, 3);
    int start = pick(w, FIELDS);
    for (int i = 0; i < q->sort_count; i++) {
        int field = (start + i) % FIELDS;
        q->sort[i] = pick(w, 2) ? field + 1 : -field - 1;
        say(q, "&_sort=%s%s", q->sort[i] < 0 ? "-" : "", fields[field].name);
    }
    q->column_count = 1 + pick(w, 4);
    for (int i = 0; i < q->column_count; i++) {
        q->columns[i] = pick(w, FIELDS);
        say(q, "&_columns=%s", fields[q->columns[i]].name);
    }
    q->number = pick(w, 30);
    q->offset = pick(w, 3) ? 0 : pick(w, 200);
    say(q, "&_results_number=%d&_results_offset=%d", q->number, q->offset);
}

static json_t *ask(struct world *w, const struct query *q, struct arena *a)
{
    static struct search_param v[128];
    struct search_params params = {.v = v};
    struct str rest = str_of(q->text), part;
    while (str_split(&rest, '&', &part)) {
        size_t eq = str_find_char(part, '=', 0);
        v[params.n++] =
            (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
    }
    /* in one lane or in several, which must make no difference */
    struct search_context ctx = {.now_us = w->now_us,
                                 .reader = PERM_PROTECTED, /* a rate is protected */
                                 .deadline_ms = mono_ms() + 60000,
                                 .exact_values = (size_t)q->exact_values,
                                 .lanes = (size_t)pick(w, 5),
                                 .lane_rows = 1};
    json_t *answer = NULL;
    const char *form;
    struct err err = {0};
    if (!search_answer(a, w->r, &ctx, params, &answer, &form, &err))
        fail_msg("%s: %s", q->text, err.msg);
    return answer;
}

static void compare_answers(struct world *w, const struct query *q, struct arena *a)
{
    json_auto_t *got = ask(w, q, a);
    json_auto_t *want = answer_naive(w, q);
    if (json_equal(got, want))
        return;
    char *g = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS);
    char *x = json_dumps(want, JSON_COMPACT | JSON_SORT_KEYS);
    size_t at = 0;
    while (g[at] && g[at] == x[at])
        at++;
    at = at > 100 ? at - 100 : 0;
    printf("%s\n  got  …%.300s\n  want …%.300s\n", q->text, g + at, x + at);
    free(g);
    free(x);
    fail_msg("an answer differs");
}

static void store(struct world *w, int i)
{
    struct err err = {0};
    json_auto_t *doc = doc_json(&w->docs[i]);
    if (!index_put(w->w, doc, &err))
        fail_msg("%s", err.msg);
}

static void run_queries(struct world *w, int count)
{
    struct arena a;
    arena_init(&a, 64 << 20);
    for (int i = 0; i < count; i++) {
        static struct query q;
        q = (struct query){0};
        random_dates(w, &q);
        random_filters(w, &q);
        random_aggs(w, &q);
        random_hits(w, &q);
        arena_reset(&a);
        compare_answers(w, &q, &a);
    }
    arena_release(&a);
}

static void shake(struct world *w, int count)
{
    for (int k = 0; k < count; k++) {
        int i = pick(w, DOCS);
        bool there;
        struct err err = {0};
        if (pick(w, 3) == 0) {
            assert_true(index_delete(w->w, w->docs[i].v[F_UUID].text[0], &there, &err));
            assert_int_equal(there, w->docs[i].is_live);
            w->docs[i].is_live = false;
        } else {
            random_doc(w, i, &w->docs[i]);
            store(w, i);
        }
    }
}

/* As a process that starts, with the numbers that the index keeper has left. */
static void read_anew(struct world *w)
{
    struct err err = {0};
    size_t written;
    index_reader_close(w->r);
    assert_true(index_number(w->dir, &fields_builtin, 1, NULL, &written, &err) && written > 0 &&
                index_reader_open(w->dir, &fields_builtin, &w->r, &err));
}

static void quiet(void *arg, const char *line)
{
    if (strstr(line, "DAMAGED"))
        *(bool *)arg = true;
}

static void verify(struct world *w)
{
    struct err err = {0};
    bool is_damaged = false;
    if (!index_verify(w->dir, &fields_builtin, quiet, &is_damaged, &err) || is_damaged)
        fail_msg("%s", err.msg);
}

/* Weeks that were over so many days ago; the later ones stay open. */
static void pack(struct world *w, int days, size_t at_least)
{
    struct err err = {0};
    size_t packed;
    if (!index_pack(w->w, w->now_us - (int64_t)days * DAY * 1000000, 0, NULL, &packed, &err))
        fail_msg("%s", err.msg);
    assert_true(packed >= at_least);
    verify(w);
}

static void test_random_queries(void **state)
{
    (void)state;
    static struct world w;
    struct err err = {0};
    w.seed = 4;
    w.now_us = 1790000000 * (int64_t)1000000;
    snprintf(w.dir, sizeof w.dir, "/tmp/datil-oracle-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    uint64_t losses;
    assert_true(index_writer_open(w.dir, &fields_builtin, &w.w, &err) &&
                index_fill_begin(w.w, 0, &losses, &err) &&
                index_reader_open(w.dir, &fields_builtin, &w.r, &err));
    for (int i = 0; i < DOCS; i++) {
        random_doc(&w, i, &w.docs[i]);
        store(&w, i);
    }
    run_queries(&w, QUERIES / 4);
    read_anew(&w);
    run_queries(&w, QUERIES / 8);
    shake(&w, 700);
    run_queries(&w, QUERIES / 8);
    pack(&w, 14, 3);
    run_queries(&w, QUERIES / 8);
    read_anew(&w);
    shake(&w, 300); /* rows behind the packed ones, and packed ones that die */
    run_queries(&w, QUERIES / 8);
    assert_true(index_sync(w.w, &err));
    verify(&w);
    if (!index_compact(w.dir, &fields_builtin, &err))
        fail_msg("%s", err.msg);
    verify(&w);
    shake(&w, 700);
    pack(&w, -14, 3);
    read_anew(&w);
    shake(&w, 200);
    run_queries(&w, QUERIES / 4);
    index_reader_close(w.r);
    index_writer_close(w.w);
    fs_remove_tree(w.dir, ERR_IGNORED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_queries)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
