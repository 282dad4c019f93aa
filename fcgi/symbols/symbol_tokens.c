/*
 * API tokens, as documents and as changes; pages and JSON API (page_tokens.c, api_tokens.c) show
 * and call the same.
 *
 * A token may not more than its owner, and a call with a token not more than that token: what can
 * be granted is asked of req_may, which knows both. Nobody's token may hold both permissions to
 * upload, for which of them an upload means would be a guess. The key leaves this program once, in
 * the answer that made it; the database has a hash of it and its first characters, by which people
 * tell their tokens apart.
 *
 * Forms, codes and words are those of Tecken, whose clients read them: permissions are named by
 * number, by our name or by "upload.NAME", and a wrong one is told with what was sent, cut to a
 * length.
 */
#include "fcgi/symbols/symbol_tokens.h"

#include "fcgi/symbols/symbol_pages.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/web/site.h"
#include "queries.h"

enum {
    KEY_SHOWN = 10,   /* characters of a key: people tell their tokens apart by them */
    DAYS_MAX = 36500, /* a century; more is a slip */
    QUOTED_MAX = 100  /* bytes of what was sent, in a refusal */
};

/* The names of Tecken put tokens into a part of their own. */
const char *permission_codename(struct arena *a, const char *name)
{
    bool is_tokens = strcmp(name, "manage_tokens") == 0;
    return arena_printf(a, "%s.%s", is_tokens ? "tokens" : "upload", name);
}

static int64_t permission_id(const struct db_rows *ids, struct str name)
{
    for (int i = 0; i < ids->count; i++)
        if (str_eq(name, str_of(db_col(ids, i, Q_SYMBOL_PERMISSION_IDS_COL_NAME))))
            return db_col_int(ids, i, Q_SYMBOL_PERMISSION_IDS_COL_ID, 0);
    return 0;
}

static bool load_ids(struct req *r, struct db_rows *ids, struct err *err)
{
    return DB_RUN(req_db(r), &q_symbol_permission_ids, ids, err) ||
           err_wrap(err, "listing permissions");
}

static json_t *time_json(int64_t us)
{
    char text[TIME_TEXT_MAX];
    time_rfc3339_ms(us, text);
    return json_string(text);
}

static json_t *token_json(struct req *r, const struct db_rows *t, int i, const struct db_rows *ids)
{
    json_t *granted = json_array();
    struct str rest = str_of(db_col(t, i, Q_SYMBOL_TOKEN_LIST_COL_PERMISSIONS)), name;
    while (str_split(&rest, ',', &name))
        if (name.n)
            json_array_append_new(granted,
                                  json_pack("{s:s, s:I}", "name",
                                            web_permission_label(str_adup(req_arena(r), name)),
                                            "id", (json_int_t)permission_id(ids, name)));
    const char *start = db_col(t, i, Q_SYMBOL_TOKEN_LIST_COL_KEY_START);
    return json_pack("{s:I, s:o, s:b, s:s, s:o, s:s, s:o}", "id",
                     (json_int_t)db_col_int(t, i, Q_SYMBOL_TOKEN_LIST_COL_ID, 0), "expires_at",
                     time_json(db_col_int(t, i, Q_SYMBOL_TOKEN_LIST_COL_EXPIRES_US, 0)),
                     "is_expired", (int)db_col_bool(t, i, Q_SYMBOL_TOKEN_LIST_COL_IS_EXPIRED),
                     "key", arena_printf(req_arena(r), "%.*s…", KEY_SHOWN, start), "permissions",
                     granted, "notes", db_col(t, i, Q_SYMBOL_TOKEN_LIST_COL_NOTES), "created_at",
                     time_json(db_col_int(t, i, Q_SYMBOL_TOKEN_LIST_COL_CREATED_US, 0)));
}

/* What the asker could put into a token. */
static json_t *grantable_json(struct req *r, const struct db_rows *ids)
{
    json_t *list = json_array();
    for (size_t i = 0; i < SYMBOL_PERMISSIONS; i++)
        if (req_may(r, symbol_permissions[i]))
            json_array_append_new(
                list, json_pack("{s:I, s:s, s:s}", "id",
                                (json_int_t)permission_id(ids, str_of(symbol_permissions[i])),
                                "name", web_permission_label(symbol_permissions[i]), "codename",
                                permission_codename(req_arena(r), symbol_permissions[i])));
    return list;
}

/*
 * Totals count all tokens whatever the state asked for: they are what the tabs of the page say.
 * Filtered here, for nobody has more than a few dozen.
 */
bool tokens_load(struct req *r, enum token_state state, json_t **ret, struct err *err)
{
    DB_ROWS tokens = {0};
    DB_ROWS ids = {0};
    if (!load_ids(r, &ids, err))
        return false;
    if (!DB_RUN(req_db(r), &q_symbol_token_list, &tokens, err,
                db_int(req_arena(r), req_user(r)->id)))
        return err_wrap(err, "listing tokens");
    json_t *list = json_array();
    int expired = 0;
    for (int i = 0; i < tokens.count; i++) {
        bool is_expired = db_col_bool(&tokens, i, Q_SYMBOL_TOKEN_LIST_COL_IS_EXPIRED);
        expired += is_expired;
        if (state == TOKENS_ALL || is_expired == (state == TOKENS_EXPIRED))
            json_array_append_new(list, token_json(r, &tokens, i, &ids));
    }
    *ret = json_pack("{s:o, s:o, s:{s:i, s:i, s:i}}", "tokens", list, "permissions",
                     grantable_json(r, &ids), "totals", "all", tokens.count, "active",
                     tokens.count - expired, "expired", expired);
    return *ret || err_set(err, ERR_INTERNAL, "the list of tokens is no JSON");
}

bool token_days(struct str text, const char *field, int64_t *ret, struct form_errors *errors)
{
    text = str_trim(text);
    if (str_to_i64(text, 1, DAYS_MAX, field, ret, ERR_IGNORED))
        return true;
    form_errors_add(errors, field, "Invalid number of days ('" STR_FMT "')",
                    STR_ARG(str_sub(text, 0, utf8_prefix_bytes(text, QUOTED_MAX))));
    return false;
}

/* One of the four, by its number or one of its names; NULL: none of them. */
static const char *permission_of(struct arena *a, const struct db_rows *ids, struct str text)
{
    for (size_t i = 0; i < SYMBOL_PERMISSIONS; i++) {
        struct str name = str_of(symbol_permissions[i]);
        const char *id = db_int(a, permission_id(ids, name));
        if (str_eq(text, str_of(id)) || str_eq(text, name) ||
            str_eq(text, str_of(permission_codename(a, symbol_permissions[i]))))
            return symbol_permissions[i];
    }
    return NULL;
}

/* The names of what the form asks for, each once. */
static bool read_permissions(struct req *r, const struct db_rows *ids, struct strs asked,
                             struct strs *ret, struct form_errors *errors, struct err *err)
{
    struct arena *a = req_arena(r);
    size_t most = 1;
    for (size_t i = 0; i < asked.n; i++)
        most += asked.v[i].n + 1;
    *ret = (struct strs){.v = arena_array(a, most, sizeof(struct str))};
    for (size_t i = 0; i < asked.n; i++) {
        struct str rest = asked.v[i], text;
        while (str_split(&rest, ',', &text)) {
            text = str_trim(text);
            const char *name = text.n ? permission_of(a, ids, text) : NULL;
            if (text.n && !name)
                form_errors_add(errors, "permissions", "'" STR_FMT "' is not a valid permission",
                                STR_ARG(str_sub(text, 0, utf8_prefix_bytes(text, QUOTED_MAX))));
            if (name && !req_may(r, name))
                return err_set(err, ERR_FORBIDDEN, "%s not a valid permission",
                               web_permission_label(name));
            if (name && !strs_have(*ret, str_of(name)))
                ret->v[ret->n++] = str_of(name);
        }
    }
    return true;
}

/*
 * All faults of the form are told at once. A permission that the asker has not got is no fault of
 * the form but a refusal (ERR_FORBIDDEN): the page does not offer it.
 */
bool token_create(struct req *r, const struct token_form *form, struct form_errors *errors,
                  char ret_key[TOKEN_KEY_DIGITS + 1], struct err *err)
{
    DB_ROWS ids = {0};
    struct strs names;
    int64_t days = 0;
    if (!load_ids(r, &ids, err) ||
        !read_permissions(r, &ids, form->permissions, &names, errors, err))
        return false;
    if (names.n == 0 && !form_errors_any(errors))
        form_errors_add(errors, "permissions", "This field is required.");
    if (str_trim(form->days).n == 0)
        form_errors_add(errors, "expires", "This field is required.");
    else
        token_days(form->days, "expires", &days, errors);
    if (strs_have(names, str_of("upload_symbols")) &&
        strs_have(names, str_of("upload_try_symbols")))
        form_errors_add(errors, "permissions", "Invalid combination of permissions");
    if (utf8_prefix_chars(form->notes, TOKEN_NOTES_MAX) != form->notes.n)
        form_errors_add(errors, "notes", "Notes may have %d characters.", TOKEN_NOTES_MAX);
    return form_errors_any(errors) || token_make(r, names, days, form->notes, ret_key, err);
}

bool token_extend(struct req *r, int64_t id, int64_t days, struct err *err)
{
    struct arena *a = req_arena(r);
    DB_ROWS changed = {0};
    if (!DB_RUN(req_db(r), &q_symbol_token_extend, &changed, err, db_int(a, id),
                db_int(a, req_user(r)->id), db_int(a, days)))
        return err_wrap(err, "extending a token");
    if (changed.affected == 0)
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    site_audit(r, "token", db_int(a, id), "change",
               arena_printf(a, "extended by %lld days", (long long)days));
    return true;
}

bool token_remove(struct req *r, int64_t id, struct err *err)
{
    struct arena *a = req_arena(r);
    DB_ROWS gone = {0};
    const char *owner = req_user(r)->is_superuser ? NULL : db_int(a, req_user(r)->id);
    if (!DB_RUN(req_db(r), &q_symbol_token_remove, &gone, err, db_int(a, id), owner))
        return err_wrap(err, "removing a token");
    if (gone.affected == 0)
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    site_audit(r, "token", db_int(a, id), "delete", "");
    return true;
}
