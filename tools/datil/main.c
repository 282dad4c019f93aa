/*
 * datil - the administrator's command.  Each command is a row of a table; the longest name that
 * fits the first words of the command line runs.
 *
 * Everything a command may need (configuration, fields, whom it works as) is there before it runs;
 * connections are made when a command asks for them (app.c), so that `datil help` needs no
 * installation and `datil doctor` can tell what is missing from one.
 *
 * Exit status: 0; 1 for an error or a difference that was found; 2 for a command line that names no
 * command.
 */
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/identity.h"
#include "lib/base/log.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/db/db.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "tools/datil/app.h"

/* In the order in which `datil help` lists them. */
static const struct command *const families[] = {
    schema_commands,    doctor_commands,  account_commands, token_commands,
    product_commands,   crash_commands,   send_commands,    resubmit_commands,
    reprocess_commands, work_commands,    purge_commands,   purge_where_commands,
    export_commands,    index_commands,   symbols_commands, symbols_care_commands,
    version_commands,   cron_commands,    check_commands,   mark_commands,
    backup_commands,    restore_commands, stats_commands,   correlation_commands,
    metrics_commands,   ping_commands,
};

/*
 * A command lives as long as its arena: what it allocates piece by piece for a million crashes ends
 * at a gigabyte, with an error (arena_within) and not with the machine's memory.
 */
enum { EXIT_USAGE = 2, ARENA_BYTES_MAX = 1 << 30 };

/* Number of leading arguments that spell the command's name, or 0. */
static int words_matched(const struct command *c, int argc, char **argv)
{
    struct str rest = str_of(c->name), word;
    int n = 0;
    while (str_split(&rest, ' ', &word)) {
        if (n >= argc || !str_eq(word, str_of(argv[n])))
            return 0;
        n++;
    }
    return n;
}

static const struct command *command_of_words(int argc, char **argv, int *ret_words)
{
    const struct command *best = NULL;
    *ret_words = 0;
    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (const struct command *c = families[f]; c->name; c++) {
            int n = words_matched(c, argc, argv);
            if (n > *ret_words) {
                best = c;
                *ret_words = n;
            }
        }
    return best;
}

static void print_command(const struct command *c, FILE *out)
{
    fprintf(out, "usage: datil %s%s%s\n\n%s\n", c->name, *c->args ? " " : "", c->args, c->help);
}

/* All commands, or those whose name begins with a word; false if there is none. */
static bool print_list(const char *first_word, FILE *out)
{
    bool any = false;
    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (const struct command *c = families[f]; c->name; c++) {
            struct str name = str_of(c->name);
            struct str word = str_sub(name, 0, MIN(str_find_char(name, ' ', 0), name.n));
            if (first_word && !str_eq(word, str_of(first_word)))
                continue;
            any = true;
            struct str help = str_of(c->help);
            struct str line = str_sub(help, 0, MIN(str_find_char(help, '\n', 0), help.n));
            fprintf(out, "  %-18s " STR_FMT "\n", c->name, STR_ARG(line));
        }
    return any;
}

/*
 * With a command's name its own page; with a first word only, such as "queue", all commands that
 * begin with it.
 */
static int help(int argc, char **argv)
{
    int words;
    const struct command *c = command_of_words(argc, argv, &words);
    if (c) {
        print_command(c, stdout);
        return EXIT_SUCCESS;
    }
    if (argc > 0 && print_list(argv[0], stdout))
        return EXIT_SUCCESS;
    if (argc > 0) {
        fprintf(stderr, "datil: there is no command '%s'; `datil help` lists all\n", argv[0]);
        return EXIT_USAGE;
    }
    puts("usage: datil COMMAND [ARGUMENT]…\n\nThe administrator's command of Datil.  It finds its "
         "installation by DATIL_VAR or DATIL_CONFIG.\n");
    print_list(NULL, stdout);
    puts("\n`datil help COMMAND` says more, `datil --help-config` lists the configuration.");
    return EXIT_SUCCESS;
}

static void release_app(struct app *app)
{
    index_writer_close(app->writer);
    index_reader_close(app->reader);
    store_close(app->store);
    db_free(app->db);
    arena_release(&app->arena);
    fields_free(app->fields);
    conf_release(&app->conf);
}

/* Somebody at a terminal wants to know what went wrong; what went well the command says itself. */
static const char *log_level(const struct conf *conf)
{
    const char *level = conf_text(conf, CONF_LOGGING_LEVEL);
    return isatty(STDERR_FILENO) == 1 && strcmp(level, "info") == 0 ? "warn" : level;
}

/*
 * getuid is asked before identity_settle, which may make root's process one of the programs' user:
 * the audit log wants to know who typed.  What was printed so far goes out before the error, so
 * that both stand in their order where they are mixed.
 */
static int run_command(const struct command *c, int argc, char **argv)
{
    struct app app = {.operator_uid = getuid()};
    struct err err = {0};
    arena_init(&app.arena, ARENA_BYTES_MAX);
    bool ok = conf_load(&app.conf, &err);
    if (ok) {
        log_init("datil", log_level(&app.conf));
        ok = identity_settle(&app.conf, IDENTITY_ADMIN, &err) &&
             fields_load(conf_text(&app.conf, CONF_DATIL_VAR), &app.fields, &err) &&
             c->run(&app, (struct args){.n = argc, .v = argv}, &err) &&
             arena_within(&app.arena, "the command", &err);
    }
    int status = ok ? app.exit_status : EXIT_FAILURE;
    if (!ok) {
        fflush(stdout);
        fprintf(stderr, "datil: %s\n", err.msg);
        if (err.code == ERR_INVALID)
            fprintf(stderr, "`datil help %s` shows how it is used\n", c->name);
    }
    release_app(&app);
    return status;
}

static bool is(const char *text, const char *a, const char *b)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

/* `datil symbols --help` asks for the list; `datil symbols looup` and `datil symbols` get it, too.
 */
static int no_command(int argc, char **argv)
{
    if (argc > 2 && is(argv[2], "--help", "-h"))
        return help(1, argv + 1);
    fprintf(stderr, "datil: there is no command '%s%s%s'\n", argv[1], argc > 2 ? " " : "",
            argc > 2 ? argv[2] : "");
    if (!print_list(argv[1], stderr))
        fputs("`datil help` lists all commands\n", stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    /* Names of products and annotations are UTF-8, whatever the terminal says. */
    setlocale(LC_CTYPE, "C.UTF-8");
    if (argc < 2) {
        help(0, NULL);
        return EXIT_USAGE;
    }
    if (is(argv[1], "help", "--help"))
        return help(argc - 2, argv + 2);
    if (is(argv[1], "--version", argc == 2 ? "version" : "--version"))
        return puts("datil " DATIL_VERSION) < 0;

    char *config_help[] = {argv[0], (char[]){"config"}, (char[]){"help"}, NULL};
    if (strcmp(argv[1], "--help-config") == 0) {
        argv = config_help;
        argc = 3;
    }
    int words;
    const struct command *c = command_of_words(argc - 1, argv + 1, &words);
    if (!c)
        return no_command(argc, argv);
    for (int i = 1 + words; i < argc; i++)
        if (is(argv[i], "--help", "-h"))
            return print_command(c, stdout), EXIT_SUCCESS;
    return run_command(c, argc - 1 - words, argv + 1 + words);
}
