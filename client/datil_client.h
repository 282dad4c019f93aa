#ifndef DATIL_CLIENT_H
#define DATIL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * datil_client - crash reports for a Linux program.
 *
 *     struct datil_client_options options = {
 *         .url = "https://crashes.example.org/submit",
 *         .product = "Frobnicator", .version = "3.1",
 *         .database = "/home/me/.cache/frobnicator/crashes",
 *     };
 *     char why[256];
 *     if (!datil_client_start(&options, why, sizeof why))
 *         fprintf(stderr, "no crash reports: %s\n", why);
 *     datil_client_annotate("ReleaseChannel", "beta");
 *
 * datil_client_start() starts a second process, the handler.  When the program
 * crashes, its signal handler does nothing but ask that process for help and
 * wait: the handler stops the threads, reads registers and memory from outside,
 * writes a minidump, stores it with the annotations below `database` and sends
 * both to `url`.  Then the signal takes its usual course: exit status, core file
 * and earlier signal handlers are as without this library.
 *
 * Ownership  Strings are copied; nothing is handed out.
 * Errors     False, with the reason in `why` (terminated, may be NULL).
 * Threads    datil_client_start and datil_client_stop belong to one thread; the
 *            rest may be called from any thread, but not from a signal handler.
 * Fork       A forked child shares the handler and the annotations of its parent.
 *            After exec nothing is left.
 * Links      libc and libpthread, nothing else.
 */
struct datil_client_options {
    const char *url;      /* of the collector; without a path, /submit is meant.  NULL: keep only */
    const char *product;  /* annotation ProductName, required */
    const char *version;  /* annotation Version, required */
    const char *database; /* directory of pending and sent reports, required; made when missing */
    const char *handler_path; /* NULL: datil-client-handler beside the program, then in PATH */
    unsigned timeout_ms;      /* how long a dying program waits for the handler; 0: 30000 */
    bool wait_for_upload;     /* wait until the report has been sent as well */
    bool send_command_line;   /* arguments go with the report: may name files, people, passwords */
    bool send_environment;    /* environment, too: people keep tokens there */
};

/*
 * With their zeros a name has 64 bytes, as Crashpad's have, and a value 4 KiB.  Each annotation
 * keeps two values (client/annotations.h), so the 128 of them are 1 MiB of shared memory, of which
 * the kernel gives a program only the pages that it writes.
 */
enum {
    DATIL_CLIENT_KEY_MAX = 63,     /* bytes of an annotation's name */
    DATIL_CLIENT_VALUE_MAX = 4095, /* bytes of its value; longer ones are cut at a character */
    DATIL_CLIENT_ANNOTATIONS_MAX = 128,
};

/* Starts the handler and takes over the signals of a crash.  Call it early, from the main
 * thread. */
bool datil_client_start(const struct datil_client_options *options, char *why, size_t why_size);

/*
 * Sets an annotation that goes with a report.  It lies in memory that the handler
 * reads, so it is there whatever happens afterwards.  May be called before
 * datil_client_start.  False: no name, name too long, or the table is full.
 */
bool datil_client_annotate(const char *key, const char *value);
bool datil_client_annotate_int(const char *key, long long value);
void datil_client_forget(const char *key);

/*
 * Gives the calling thread a signal stack of its own, released when it ends.
 * Without one a stack overflow in a thread other than the first kills the program
 * silently.
 */
bool datil_client_protect_thread(void);

/* A report of the living program, for hangs and the impossible.  Waits for the dump. */
bool datil_client_report(void);

/* Restores the signal handlers and lets the handler process go. */
void datil_client_stop(void);

#ifdef __cplusplus
}
#endif
#endif
