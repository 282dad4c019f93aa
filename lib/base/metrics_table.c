/*
 * The table of all metrics, and the page of docs/ that is printed of it.
 */
#include "lib/base/metrics_table.h"

#include "lib/base/util.h"

const struct metric_row metric_rows[METRIC_TOTAL] = {
#define METRIC(id, ...) [METRIC_##id] = {__VA_ARGS__},
#include "lib/base/metric_rows.def"
#undef METRIC
};

/*
 * Chosen so that a share of what a unit is used for falls between any two: requests and rules take
 * milliseconds, walks and jobs minutes; reports have kilobytes to gigabytes.
 */
const int64_t metric_buckets[UNIT_KINDS][METRIC_BUCKETS] = {
    [UNIT_EVENTS] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000, 100000, 1000000},
    [UNIT_THINGS] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000, 100000, 1000000},
    [UNIT_DAYS] = {1, 2, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1461, 3652},
    [UNIT_BYTES] = {1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26,
                    1 << 28, 1 << 30, INT64_C(1) << 32, INT64_C(1) << 34},
    [UNIT_SECONDS] = {100, 1000, 5000, 10000, 50000, 100000, 250000, 500000, 1000000, 5000000,
                      30000000, 120000000, 600000000},
};

static const struct {
    enum metric_program program;
    const char *name;
} programs[] = {{IN_COLLECTOR, "collector"}, {IN_PROCESSOR, "processor"}, {IN_SYMBOLS, "symbols"},
                {IN_WEBAPP, "webapp"},       {IN_CRON, "cron"},           {IN_PINGS, "pings"}};

const char *metrics_program_name(size_t i)
{
    return i < ARRAY_LEN(programs) ? programs[i].name : NULL;
}

const char *metrics_name_of(enum metric_program program)
{
    for (size_t i = 0; i < ARRAY_LEN(programs); i++)
        if (programs[i].program == program)
            return programs[i].name;
    return NULL;
}

enum metric_program metrics_program_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(programs); i++)
        if (str_eq(name, str_of(programs[i].name)))
            return programs[i].program;
    return 0;
}

size_t metric_label_count(const struct metric_row *row)
{
    size_t n = *row->labels != '\0';
    for (const char *c = row->labels; *c; c++)
        n += *c == ',';
    return n;
}

void metric_label(const struct metric_row *row, size_t i, struct str *ret_name,
                  struct str *ret_values)
{
    struct str rest = str_of(row->labels), one = {0};
    for (size_t k = 0; k <= i && str_split(&rest, ',', &one); k++)
        continue;
    size_t equals = str_find_char(one, '=', 0);
    *ret_name = str_sub(one, 0, equals);
    *ret_values = equals == SIZE_MAX ? STR("") : str_sub(one, equals + 1, SIZE_MAX);
}

static void print_programs(FILE *out, unsigned set)
{
    const char *before = "";
    for (size_t i = 0; i < ARRAY_LEN(programs); i++)
        if (set & programs[i].program) {
            fprintf(out, "%s%s", before, programs[i].name);
            before = ", ";
        }
}

static void print_row(FILE *out, const struct metric_row *row)
{
    static const char *const types[] = {"count", "gauge", "timing", "histogram"};
    static const char *const units[] = {"events", "things", "bytes", "seconds", "days"};
    fprintf(out, "| `%s` | %s, %s | ", row->name, types[row->type], units[row->unit]);
    for (size_t i = 0; i < metric_label_count(row); i++) {
        struct str name, known, one;
        const char *before = ": ";
        metric_label(row, i, &name, &known);
        fprintf(out, "%s`" STR_FMT "`", i ? "; " : "", STR_ARG(name));
        while (known.n && str_split(&known, '/', &one)) {
            fprintf(out, "%s" STR_FMT, before, STR_ARG(one));
            before = ", ";
        }
    }
    fprintf(out, " | %s |\n", row->help);
}

/* In the order of the table, with a heading wherever the programs change. */
void metrics_print_markdown(FILE *out)
{
    unsigned before = 0;
    for (size_t id = 0; id < METRIC_TOTAL; id++) {
        const struct metric_row *row = &metric_rows[id];
        if (row->programs != before) {
            fprintf(out, "\n## Of ");
            print_programs(out, row->programs);
            fprintf(out, "\n\n| Name | Kind | Labels | What it says |\n|---|---|---|---|\n");
        }
        before = row->programs;
        print_row(out, row);
    }
}
