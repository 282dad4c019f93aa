/* routes: what is declared of parameters can be kept, and can be printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/routes.h"
#include "lib/base/util.h"
#include "lib/web/param_spec.h"

static size_t count_choices(const struct param_spec *p)
{
    size_t n = 0;
    while (p->choices && p->choices[n].value)
        n++;
    return n;
}

static bool is_number(const struct param_spec *p)
{
    return p->type == PARAM_INT || p->type == PARAM_INT_LIST;
}

/* A range holds its default, and choices are there where they are asked for. */
static const char *fault_of_values(const struct param_spec *p)
{
    int64_t n;
    if (is_number(p) && p->min >= p->max)
        return "an empty range";
    if (is_number(p) && p->fallback &&
        !str_to_i64(str_of(p->fallback), p->min, p->max, p->name, &n, ERR_IGNORED))
        return "a default outside its range";
    if ((p->type == PARAM_CHOICE) != (count_choices(p) > 1))
        return "choices of something else, or no choice";
    if (p->flags & PARAM_REQUIRED && p->fallback)
        return "a default that is never taken";
    return NULL;
}

/* Clients read a refusal that somebody has written for them; only numbers explain themselves. */
static const char *fault_of_words(const struct param_spec *p)
{
    bool may_be_refused = !(p->flags & (PARAM_LENIENT | PARAM_OF_SEARCH)) && !is_number(p) &&
                          (p->type == PARAM_CHOICE || p->type == PARAM_DATE ||
                           p->type == PARAM_CRASH_ID || (p->type == PARAM_TEXT && p->max > 0));
    if (may_be_refused && !p->refusal)
        return "a refusal without words";
    if (p->number_refusal && p->type != PARAM_CHOICE)
        return "words that are never said";
    return p->help && *p->help ? NULL : "nothing for the reference";
}

static bool is_named_before(const struct param_spec *const *params, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(params[k]->name, params[i]->name) == 0)
            return true;
    return false;
}

static void check_params(const char *path, const struct param_spec *const *params)
{
    for (size_t i = 0; params && params[i]; i++) {
        const char *fault = fault_of_values(params[i]);
        if (!fault)
            fault = fault_of_words(params[i]);
        if (!fault && is_named_before(params, i))
            fault = "a second parameter of that name";
        if (fault)
            fail_msg("%s: %s: %s", path, params[i]->name, fault);
    }
}

static void test_declarations(void **state)
{
    (void)state;
    check_params("all routes", answer_params);
    for (size_t i = 0; i < route_count; i++) {
        check_params(routes[i].path, routes[i].params);
        if (routes[i].flags & ROUTE_OWN_REFUSAL && !routes[i].params)
            fail_msg("%s refuses what it does not read", routes[i].path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_declarations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
