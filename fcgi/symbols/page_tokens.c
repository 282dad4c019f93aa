/*
 * GET /tokens and its forms: one's own API tokens.  A key is shown in the answer that makes it, so
 * that answer is a page and no redirect, and no browser may keep it.
 *
 * The forms that change a token end in a redirect to the list, so that a reload repeats nothing.
 */
#include "fcgi/symbols/form_errors.h"
#include "fcgi/symbols/symbol_pages.h"
#include "fcgi/symbols/symbol_tokens.h"
#include "fcgi/symbols/upload_rows.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "rows.h"

/* Lives that people choose from, in days; a year is what a token has by default. */
static const struct {
    const char *value, *text;
    bool is_default;
} lives[] = {{"1", "1 day", false},
             {"7", "1 week", false},
             {"30", "1 month", false},
             {"365", "1 year", true},
             {"3650", "10 years", false}};

static const struct param_choice states[] = {
    [TOKENS_ACTIVE] = {"", "Active"},
    [TOKENS_EXPIRED] = {"expired", "Expired"},
    [TOKENS_ALL] = {"all", "All"},
    {0},
};

/* clang-format off */
static const struct param_spec
    state = {"state", PARAM_CHOICE, PARAM_LENIENT, .choices = states, .help = "which tokens"},
    permissions = {"permissions", PARAM_LIST, .help = "what the token may do, of what you may"},
    expires = {"expires", PARAM_TEXT, .help = "days that it lives"},
    notes = {"notes", PARAM_TEXT, PARAM_TRIMMED, .fallback = "", .help = "what it is for"},
    token_id = {"id", PARAM_INT, PARAM_REQUIRED, .min = 1, .max = INT64_MAX, .help = "which token"},
    days = {"days", PARAM_TEXT, .help = "days that are added"};
/* clang-format on */
const struct param_spec *const page_tokens_params[] = {&state, NULL};
const struct param_spec *const page_tokens_post_params[] = {&permissions, &expires, &notes, NULL};
const struct param_spec *const page_token_extend_params[] = {&token_id, &days, NULL};
const struct param_spec *const page_token_delete_params[] = {&token_id, NULL};

static bool check_tokens(struct req *r, struct err *err)
{
    return req_may(r, "manage_tokens") ||
           err_set(err, ERR_FORBIDDEN,
                   "API tokens are for those who may upload symbols or see all uploads. Ask an "
                   "administrator for the group Uploaders or Upload Auditors.");
}

/* Only the first characters of a key are known: the server has its hash. */
static void fill_token(struct req *r, struct tpl_row *row, const json_t *t)
{
    struct arena *a = req_arena(r);
    int64_t id = 0, end_us = list_time_us(t, "expires_at");
    bool is_expired = jget_bool_or(t, "is_expired", false);
    const char *span = human_span(a, (end_us - req_now_us(r)) / 1000000), *granted = "";
    jget_int(t, "id", &id);
    size_t i;
    json_t *p;
    json_array_foreach (jget_arr(t, "permissions"), i, p)
        granted = arena_printf(a, "%s%s%s", granted, i ? ", " : "",
                               json_string_value(json_object_get(p, "name")));
    tpl_col_int(row, SYMBOL_TOKEN_ID, id);
    tpl_col_text(row, SYMBOL_TOKEN_KEY, jget_strn(t, "key"));
    tpl_col_cstr(row, SYMBOL_TOKEN_EXPIRES,
                 is_expired ? arena_printf(a, "%s ago", span) : arena_printf(a, "in %s", span));
    tpl_col_cstr(row, SYMBOL_TOKEN_EXACT, human_time(a, end_us));
    tpl_col_bool(row, SYMBOL_TOKEN_IS_EXPIRED, is_expired);
    tpl_col_cstr(row, SYMBOL_TOKEN_PERMISSIONS, granted);
    tpl_col_text(row, SYMBOL_TOKEN_NOTES, jget_strn(t, "notes"));
}

/*
 * After a refusal the form has what was sent; the first time its days are the default.
 */
static void set_form(struct tpl_values *v, const struct token_form *form, const json_t *answer)
{
    struct tpl_rows *offered = tpl_list(v, LIST_GRANTABLE_PERMISSIONS);
    size_t i;
    json_t *p;
    json_array_foreach (jget_arr(answer, "permissions"), i, p) {
        struct tpl_row *row = tpl_row_add(offered);
        struct str codename = jget_strn(p, "codename");
        bool is_chosen = false;
        for (size_t k = 0; k < form->permissions.n; k++)
            is_chosen |= str_eq(form->permissions.v[k], codename);
        tpl_col_text(row, PERMISSION_NAME, codename);
        tpl_col_text(row, PERMISSION_LABEL, jget_strn(p, "name"));
        tpl_col_bool(row, PERMISSION_HAS_IT, is_chosen);
    }
    struct tpl_rows *options = tpl_list(v, LIST_LIFE_OPTIONS);
    for (i = 0; i < ARRAY_LEN(lives); i++) {
        struct tpl_row *row = tpl_row_add(options);
        tpl_col_cstr(row, OPTION_VALUE, lives[i].value);
        tpl_col_cstr(row, OPTION_TEXT, lives[i].text);
        tpl_col_bool(row, OPTION_IS_CHOSEN,
                     form->days.n ? str_eq(form->days, str_of(lives[i].value))
                                  : lives[i].is_default);
    }
    tpl_text(v, "notes", form->notes);
}

/* A tab for each state, with how many tokens there are in it. */
static void set_tabs(struct req *r, struct tpl_values *v, enum token_state shown,
                     const json_t *answer)
{
    static const char *const counts[] = {"active", "expired", "all"};
    struct arena *a = req_arena(r);
    struct tpl_rows *tabs = tpl_list(v, LIST_UPLOAD_TABS);
    for (size_t i = 0; i < ARRAY_LEN(counts) && states[i].value; i++) {
        int64_t n = 0;
        jget_int(jget_obj(answer, "totals"), counts[i], &n);
        site_add_choice(tabs, arena_printf(a, "%s (%lld)", states[i].label, (long long)n),
                        site_path(r, *states[i].value
                                         ? arena_printf(a, "/tokens?state=%s", states[i].value)
                                         : "/tokens"),
                        i == shown);
    }
}

/* The whole page: after a form with its errors and what was typed, after a new token with its
 * key. */
static bool send_tokens(struct req *r, enum token_state shown, const struct token_form *form,
                        const struct form_errors *errors, const char *key, struct err *err)
{
    json_auto_t *answer = NULL;
    if (!tokens_load(r, shown, &answer, err))
        return false;
    struct tpl_values *v = symbol_page_new(r, "API Tokens", SYMBOL_NAV_TOKENS);
    struct tpl_rows *rows = tpl_list(v, LIST_SYMBOL_TOKENS);
    size_t i;
    json_t *t;
    json_array_foreach (jget_arr(answer, "tokens"), i, t)
        fill_token(r, tpl_row_add(rows), t);
    tpl_bool(v, "has_tokens", tpl_rows_count(rows) > 0);
    set_tabs(r, v, shown, answer);
    set_form(v, form, answer);
    form_errors_show(r, errors, v);
    tpl_cstr(v, "key", key);
    resp_header(r, "Cache-Control", STR("no-store"));
    return resp_page(r, form_errors_any(errors) ? 400 : 200, "symbols_tokens.html", v, err);
}

/* GET /tokens */
bool page_tokens_get(struct req *r, struct err *err)
{
    const struct form_errors none = {0};
    const struct token_form empty = {0};
    return check_tokens(r, err) &&
           send_tokens(r, (enum token_state)req_choice(r, &state), &empty, &none, "", err);
}

/* POST /tokens */
bool page_tokens_post(struct req *r, struct err *err)
{
    FORM_ERRORS_AUTO errors = {0};
    char key[TOKEN_KEY_DIGITS + 1] = "";
    const struct token_form form = {.permissions = req_list(r, &permissions),
                                    .days = req_text(r, &expires),
                                    .notes = req_text(r, &notes)};
    if (!check_tokens(r, err) || !token_create(r, &form, &errors, key, err))
        return false;
    const struct token_form empty = {0};
    return send_tokens(r, TOKENS_ACTIVE, form_errors_any(&errors) ? &form : &empty, &errors, key,
                       err);
}

/* POST /tokens/extend */
bool page_token_extend_post(struct req *r, struct err *err)
{
    FORM_ERRORS_AUTO errors = {0};
    const struct token_form empty = {0};
    int64_t added;
    if (!token_days(req_text(r, &days), "days", &added, &errors))
        return send_tokens(r, TOKENS_ACTIVE, &empty, &errors, "", err);
    return token_extend(r, req_int(r, &token_id), added, err) &&
           resp_redirect(r, 303, site_path(r, "/tokens"));
}

/* POST /tokens/delete */
bool page_token_delete_post(struct req *r, struct err *err)
{
    return token_remove(r, req_int(r, &token_id), err) &&
           resp_redirect(r, 303, site_path(r, "/tokens"));
}
