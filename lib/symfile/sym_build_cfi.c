/*
 * STACK CFI records become numbers of rule sets.
 *
 * A program has a million rows but few different ones, so each step is done once per
 * distinct input: the text of a record becomes a delta (its rules, compiled), and a rule
 * set plus a delta becomes the next rule set.  What is stored per row is the complete rule
 * set in force from there on, so a lookup applies nothing.
 *
 * Why a row is a number: in the text a row says only what changes, and a walker would have to apply
 * all rows from the INIT record to its address, parsing each.  Programs of compilers
 * have a few hundred different sets among a million rows (push a register, adjust the stack,
 * and back), so a number of one or two bytes says more than the row's text.
 *
 * Three tables of what was seen stand behind each other: text -> delta, (set, delta) -> set,
 * and encoded set -> set, the last because different ways lead to one set.  A row whose rules
 * cannot be read makes SET_MALFORMED, and so are all rows behind it: what would be applied to is
 * unknown.
 */
#include "lib/symfile/sym_build.h"

#include "lib/base/map.h"
#include "lib/base/sort.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

enum {
    SET_MALFORMED = 0, /* written as a set without rules */
    /* Rule sets may take this, or as much as the text.  Without a limit a hostile text of n rows
     * that each add a register makes n sets of up to CSYM_CFI_RULES_MAX rules. */
    SETS_BYTES_MIN = 1 << 20,
};

void cfi_builder_init(struct cfi_builder *c, size_t numbers_max)
{
    *c = (struct cfi_builder){0};
    textmap_init(&c->texts, numbers_max);
    textmap_init(&c->regs, numbers_max);
    textmap_init(&c->programs, numbers_max);
    textmap_init(&c->sets, numbers_max);
    map_init(&c->sums, numbers_max);
    put_varint(&c->set_bytes, 0);
    VEC_PUSH(&c->set_offset, 0);
    VEC_PUSH(&c->set_rules, ((struct cfi_span){0}));
    textmap_number(&c->sets, NULL, STR("\0"));
}

void cfi_builder_release(struct cfi_builder *c)
{
    textmap_release(&c->texts);
    textmap_release(&c->regs);
    textmap_release(&c->programs);
    textmap_release(&c->sets);
    map_release(&c->sums);
    VEC_RELEASE(&c->set_of_sum);
    VEC_RELEASE(&c->deltas);
    VEC_RELEASE(&c->set_rules);
    VEC_RELEASE(&c->rules);
    VEC_RELEASE(&c->program_offset);
    VEC_RELEASE(&c->program_bytes);
    VEC_RELEASE(&c->set_bytes);
    VEC_RELEASE(&c->row_bytes);
    VEC_RELEASE(&c->set_offset);
    VEC_RELEASE(&c->ranges);
    VEC_RELEASE(&c->rows);
}

static struct str next_token(struct str *rest)
{
    size_t i = 0, n;
    while (i < rest->n && (rest->p[i] == ' ' || rest->p[i] == '\t'))
        i++;
    for (n = i; n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t'; n++)
        ;
    struct str token = str_n(rest->p + i, n - i);
    *rest = str_n(rest->p + n, rest->n - n);
    return token;
}

static bool is_register(struct str token)
{
    return token.n > 0 && token.p[token.n - 1] == ':';
}

/* "$rax:" -> number of rax.  False: no name, or more registers than the format has room for. */
static bool register_code(struct cfi_builder *c, struct str token, uint32_t *ret)
{
    struct str name = str_n(token.p, token.n - 1);
    if (str_starts(name, STR("$")))
        name = str_sub(name, 1, SIZE_MAX);
    if (str_eq(name, STR(".cfa")))
        *ret = CSYM_RULE_CFA;
    else if (str_eq(name, STR(".ra")))
        *ret = CSYM_RULE_RA;
    else
        *ret = CSYM_RULE_REG + textmap_number(&c->regs, NULL, name);
    return name.n > 0 && c->regs.texts.n <= CSYM_REG_MAX;
}

/* Offset of the byte code of an expression; equal code is stored once, whatever its text was. */
static uint32_t program_of(struct builder *b, struct str expression)
{
    struct cfi_builder *c = &b->cfi;
    bytes_vec code = {0};
    cfi_compile(c, expression, &code);
    uint32_t id = textmap_number(&c->programs, &b->arena, str_n((char *)code.v, code.n));
    if (id == c->program_offset.n) {
        VEC_PUSH(&c->program_offset, (uint32_t)c->program_bytes.n);
        put_bytes(&c->program_bytes, code.v, code.n);
    }
    VEC_RELEASE(&code);
    return c->program_offset.v[id];
}

/* Sets the rule of one register among those from `first` on; a later one replaces an earlier. */
static void set_rule(struct cfi_builder *c, uint32_t first, struct cfi_rule rule)
{
    for (size_t i = first; i < c->rules.n; i++)
        if (c->rules.v[i].reg == rule.reg) {
            c->rules.v[i] = rule;
            return;
        }
    VEC_PUSH(&c->rules, rule);
}

/* REG: EXPR REG: EXPR ...; the count stays 0 where that is not what the text says. */
static struct cfi_span parse_rules(struct builder *b, struct str text)
{
    struct cfi_builder *c = &b->cfi;
    struct cfi_span span = {.first = (uint32_t)c->rules.n};
    struct str token = next_token(&text);
    bool ok = is_register(token);
    while (ok && token.n) {
        struct cfi_rule rule;
        ok = register_code(c, token, &rule.reg);
        struct str expression = {.p = text.p};
        token = next_token(&text);
        while (token.n && !is_register(token)) {
            expression.n = (size_t)(token.p + token.n - expression.p);
            token = next_token(&text);
        }
        ok = ok && expression.n > 0;
        if (!ok)
            break;
        rule.program = program_of(b, expression);
        set_rule(c, span.first, rule);
        ok = c->rules.n - span.first <= CSYM_CFI_RULES_MAX;
    }
    if (ok)
        span.count = (uint32_t)c->rules.n - span.first;
    else
        c->rules.n = span.first;
    return span;
}

/* The text is compared as it stands: the same rules with other blanks are parsed again, no more. */
static uint32_t new_delta(struct builder *b, struct str text)
{
    struct cfi_builder *c = &b->cfi;
    uint32_t id = textmap_number(&c->texts, NULL, text);
    if (id == c->deltas.n)
        VEC_PUSH(&c->deltas, parse_rules(b, text));
    return id;
}

/*
 * Nearly every row says what one of the last said, so those are looked at before all that were
 * seen: for that the first and the last eight bytes tell texts apart well enough, where a seeded
 * hash reads them whole.  A stranger who makes them collide gets the hash.
 */
static uint32_t delta_of(struct builder *b, struct str text)
{
    uint64_t head, tail;
    if (text.n < sizeof head)
        return new_delta(b, text);
    memcpy(&head, text.p, sizeof head);
    memcpy(&tail, text.p + text.n - sizeof tail, sizeof tail);
    /* the odd constant is 2^64 by the golden ratio: Fibonacci hashing (Knuth, 6.4) */
    uint64_t mixed = (head ^ (tail << 1) ^ text.n) * UINT64_C(0x9e3779b97f4a7c15);
    struct cfi_seen *seen = &b->cfi.seen[mixed >> (64 - CFI_SEEN_BITS)];
    if (!str_eq(seen->text, text))
        *seen = (struct cfi_seen){text, new_delta(b, text)};
    return seen->delta;
}

/* The number of the rule set that lies in rules from `first` on; takes those away if it is
 * known. */
static uint32_t set_of_rules(struct builder *b, uint32_t first)
{
    struct cfi_builder *c = &b->cfi;
    bytes_vec code = {0};
    uint32_t count = (uint32_t)c->rules.n - first;
    put_varint(&code, count);
    for (size_t i = first; i < c->rules.n; i++) {
        put_varint(&code, c->rules.v[i].reg);
        put_varint(&code, c->rules.v[i].program);
    }
    uint32_t id = textmap_number(&c->sets, &b->arena, str_n((char *)code.v, code.n));
    if (id == c->set_offset.n) {
        VEC_PUSH(&c->set_offset, (uint32_t)c->set_bytes.n);
        VEC_PUSH(&c->set_rules, ((struct cfi_span){first, count}));
        put_bytes(&c->set_bytes, code.v, code.n);
        if (c->set_bytes.n > MAX(b->text.n, (size_t)SETS_BYTES_MIN))
            b->too_large = "different STACK CFI rules";
    } else {
        c->rules.n = first;
    }
    VEC_RELEASE(&code);
    return id;
}

/* The rules of base in their order, replaced or continued by those of delta. */
static uint32_t add_delta(struct builder *b, struct cfi_span base, struct cfi_span delta)
{
    struct cfi_builder *c = &b->cfi;
    uint32_t first = (uint32_t)c->rules.n;
    VEC_RESERVE(&c->rules, c->rules.n + base.count + delta.count);
    for (uint32_t i = 0; i < base.count; i++)
        VEC_PUSH(&c->rules, c->rules.v[base.first + i]);
    for (uint32_t i = 0; i < delta.count; i++)
        set_rule(c, first, c->rules.v[delta.first + i]);
    if (c->rules.n - first <= CSYM_CFI_RULES_MAX)
        return set_of_rules(b, first);
    c->rules.n = first;
    return SET_MALFORMED;
}

/* `set` is SET_MALFORMED for an INIT record as well; is_init tells the two apart. */
static uint32_t next_set(struct builder *b, uint32_t set, bool is_init, uint32_t delta)
{
    struct cfi_builder *c = &b->cfi;
    if (set == SET_MALFORMED && !is_init)
        return SET_MALFORMED;
    uint32_t sum = map_number(&c->sums, (uint64_t)set << 32 | delta) - 1;
    if (sum == c->set_of_sum.n) {
        struct cfi_span change = c->deltas.v[delta];
        VEC_PUSH(&c->set_of_sum, change.count ? add_delta(b, c->set_rules.v[set], change)
                                              : (uint32_t)SET_MALFORMED);
    }
    return c->set_of_sum.v[sum];
}

static int by_addr(const void *a, const void *b)
{
    const struct cfi_row *x = a, *y = b;
    return (x->addr > y->addr) - (x->addr < y->addr);
}

/* Turns deltas into sets and keeps the rows where the set changes; of one address the last. */
static void settle_rows(struct builder *b)
{
    struct cfi_builder *c = &b->cfi;
    if (!c->is_sorted) /* the INIT record stays in front */
        sort_stable(c->rows.v + 1, c->rows.n - 1, sizeof *c->rows.v, by_addr);
    size_t kept = 0;
    uint32_t set = SET_MALFORMED;
    for (size_t i = 0; i < c->rows.n; i++) {
        uint64_t addr = MAX(c->rows.v[i].addr, c->open.start) - c->open.start;
        uint32_t next = next_set(b, set, i == 0, c->rows.v[i].delta);
        if (addr >= c->open.size)
            break;
        if (kept && c->rows.v[kept - 1].addr == addr)
            c->rows.v[kept - 1].delta = next;
        else if (!kept || next != set)
            c->rows.v[kept++] = (struct cfi_row){addr, next};
        set = next;
    }
    c->rows.n = kept;
}

/* Within a block addresses are differences; the first row of a block has its address in the
 * table. */
static void put_rows(bytes_vec *out, const struct cfi_row *rows, size_t n)
{
    struct run_out run;
    run_begin(&run, out, n);
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        if (run_record(&run, (uint32_t)rows[i].addr))
            last = i ? rows[i].addr : 0;
        put_varint(out, rows[i].addr - last);
        put_varint(out, rows[i].delta);
        last = rows[i].addr;
    }
}

/* Rows belong to the INIT record before them; they are packed when the next one begins. */
void builder_cfi_finish(struct builder *b)
{
    struct cfi_builder *c = &b->cfi;
    if (c->owner == OWNER_KEPT) {
        settle_rows(b);
        if (c->row_bytes.n > UINT32_MAX || c->rules.n > UINT32_MAX)
            b->too_large = "STACK CFI rows";
        c->open.row = (uint32_t)c->row_bytes.n;
        put_rows(&c->row_bytes, c->rows.v, c->rows.n);
        VEC_PUSH(&c->ranges, c->open);
    }
    c->owner = OWNER_NONE;
    c->rows.n = 0;
    c->is_sorted = true;
}

/* An INIT record that could not be read: the rows behind it belong to it and go with it. */
void builder_cfi_bad(struct builder *b)
{
    builder_cfi_finish(b);
    b->cfi.owner = OWNER_DROPPED;
}

void builder_cfi_init(struct builder *b, uint64_t addr, uint32_t size, struct str rules)
{
    builder_cfi_bad(b);
    if (size == 0 || addr + size < addr)
        return;
    b->cfi.owner = OWNER_KEPT;
    b->cfi.open = (struct cfi_range){.start = addr, .size = size};
    VEC_PUSH(&b->cfi.rows, ((struct cfi_row){addr, delta_of(b, rules)}));
}

bool builder_cfi_row(struct builder *b, uint64_t addr, struct str rules)
{
    struct cfi_builder *c = &b->cfi;
    if (c->owner != OWNER_KEPT)
        return c->owner == OWNER_DROPPED;
    if (c->rows.n > 1 && c->rows.v[c->rows.n - 1].addr > addr)
        c->is_sorted = false;
    VEC_PUSH(&c->rows, ((struct cfi_row){addr, delta_of(b, rules)}));
    return true;
}
