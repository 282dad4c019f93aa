/*
 * The extensions of the browser, as "ID:VERSION".  They come as one annotation, separated by commas
 * and each encoded like a form's value, so that ids may hold commas and colons.
 */
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "processor/rules.h"

/* URL decoding as for forms: '+' is a blank, "%41" an A; a lone '%' stays. */
static void put_decoded(struct strbuf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        int byte = pct_byte(s, i);
        if (byte >= 0) {
            sb_char(out, (char)byte);
            i += 2;
        } else {
            sb_char(out, s.p[i] == '+' ? ' ' : s.p[i]);
        }
    }
}

/*
 * The colon is looked for before decoding: one that is part of an id is "%3A" there. Searches
 * expect a version behind every id.
 */
static json_t *addon(struct str entry)
{
    STRBUF_AUTO text = {0};
    sb_init(&text, entry.n + 16);
    put_decoded(&text, entry);
    if (str_find_char(entry, ':', 0) == SIZE_MAX)
        sb_text(&text, ":NO_VERSION");
    return jtext(sb_view(&text));
}

/*
 * Addons. addons_checked: whether the browser asked for compatible extensions only; null when the
 * report does not say.
 */
bool addons_act(struct job *job, struct err *err)
{
    (void)err;
    struct str checked = annotation_text(job, "EMCheckCompatibility");
    struct str rest = annotation_text(job, "Add-ons"), entry;
    json_t *list = json_array();
    while (rest.n > 0 && str_split(&rest, ',', &entry))
        json_array_append_new(list, addon(entry));
    set_value(job, "addons", list);
    set_value(job, "addons_checked",
              checked.p ? json_boolean(str_eq_nocase(checked, STR("true"))) : json_null());
    return true;
}

/* Nobody knows this id by heart. */
static const char default_theme[] = "{972ce4c6-7e08-4474-a285-3208198ce6fd}";

static bool is_default_theme(const json_t *entry)
{
    struct str s = str_of(json_string_value(entry)), id = str_of(default_theme);
    return s.p && str_starts(s, id) && (s.n == id.n || s.p[id.n] == ':');
}

/*
 * ThemePrettyName. "(default theme)" behind the id and before the version, as texts of reports
 * have had it for years.
 */
bool theme_pretty_name_applies(const struct job *job)
{
    size_t i;
    const json_t *entry;
    json_array_foreach (jget_arr(job->processed, "addons"), i, entry)
        if (is_default_theme(entry))
            return true;
    return false;
}

bool theme_pretty_name_act(struct job *job, struct err *err)
{
    (void)err;
    size_t i;
    const json_t *entry;
    json_t *list = json_array();
    json_array_foreach (jget_arr(job->processed, "addons"), i, entry) {
        if (!is_default_theme(entry)) {
            json_array_append(list, (json_t *)entry);
            continue;
        }
        STRBUF_AUTO text = {0};
        sb_init(&text, json_string_length(entry) + 32);
        sb_printf(&text, "%s (default theme)%s", default_theme,
                  json_string_value(entry) + strlen(default_theme));
        json_array_append_new(list, jtext(sb_view(&text)));
    }
    set_value(job, "addons", list);
    return true;
}
