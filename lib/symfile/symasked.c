/*
 * Answers of sources, in memory and in small files.  A file is text, so that an administrator can
 * read why a module has no symbols:
 *
 *     sources 9f3c...        the list of servers they are from, as a number
 *     1 https://symbols.example.org
 *
 * with the number of the answer before each source.  A file that is not like this is none.
 */
#include "lib/symfile/symasked.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

/*
 * How long an answer counts.  An hour and a day are the rules for misses and for malformed files of
 * the services that we follow; a minute is what a server takes to come back, and crashes that come
 * in between must not each wait for it.
 */
enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400, FILE_BYTES_MAX = 16384 };

static const struct {
    const char *text;
    int kept_s;
} answers[SYMFIND_ANSWER_COUNT] = {
    [SYMFIND_ANSWER_FOUND] = {"found", 0},
    [SYMFIND_ANSWER_NOT_FOUND] = {"not found", HOUR_S},
    [SYMFIND_ANSWER_MALFORMED] = {"malformed", DAY_S},
    [SYMFIND_ANSWER_WRONG_ID] = {"wrong id", DAY_S},
    [SYMFIND_ANSWER_TIMED_OUT] = {"timed out", MINUTE_S},
    [SYMFIND_ANSWER_UNREACHABLE] = {"unreachable", MINUTE_S},
    [SYMFIND_ANSWER_REFUSED] = {"refused", HOUR_S},
    [SYMFIND_ANSWER_TOO_LARGE] = {"too large", DAY_S},
    [SYMFIND_ANSWER_PAUSED] = {"paused", MINUTE_S},
    [SYMFIND_ANSWER_PENDING] = {"pending", 0},
};

const char *symfind_answer_text(enum symfind_answer answer)
{
    return answer < SYMFIND_ANSWER_COUNT ? answers[answer].text : "";
}

void symasked_note(struct symfind_asked asked[SYMFIND_ASKED_MAX], size_t *count, const char *source,
                   enum symfind_answer answer)
{
    char name[SYMFIND_SOURCE_MAX + 1];
    snprintf(name, sizeof name, "%s", source);
    size_t i = 0;
    while (i < *count && strcmp(asked[i].source, name) != 0)
        i++;
    if (i == SYMFIND_ASKED_MAX)
        return;
    *count = MAX(*count, i + 1);
    memcpy(asked[i].source, name, sizeof name);
    asked[i].answer = answer;
}

static bool read_answer(struct str line, struct symfind_asked *ret)
{
    struct str number = STR_NONE;
    uint64_t answer;
    if (!str_split(&line, ' ', &number) || line.n == 0 || line.n > SYMFIND_SOURCE_MAX ||
        !str_to_u64(number, 10, SYMFIND_ANSWER_COUNT - 1, "answer", &answer, ERR_IGNORED))
        return false;
    snprintf(ret->source, sizeof ret->source, STR_FMT, STR_ARG(line));
    ret->answer = (enum symfind_answer)answer;
    return true;
}

/* The answer that counts for the shortest time decides: who failed must be asked again soon. */
bool symasked_recall(const char *path, uint64_t sources,
                     struct symfind_asked asked[SYMFIND_ASKED_MAX], size_t *ret_count)
{
    struct stat st;
    FREE_LATER char *text = NULL;
    size_t n, count = 0;
    char head[40];
    if (stat(path, &st) != 0 || !fs_read(path, FILE_BYTES_MAX, &text, &n, ERR_IGNORED))
        return false;
    struct str rest = str_n(text, n), line = STR_NONE;
    snprintf(head, sizeof head, "sources %016llx", (unsigned long long)sources);
    if (!str_split(&rest, '\n', &line) || !str_eq(line, str_of(head)))
        return false;
    int64_t kept_s = DAY_S, age_s = now_s() - st.st_mtim.tv_sec;
    struct symfind_asked found[SYMFIND_ASKED_MAX];
    while (count < SYMFIND_ASKED_MAX && str_split(&rest, '\n', &line) && line.n) {
        if (!read_answer(line, &found[count]))
            return false;
        kept_s = MIN(kept_s, (int64_t)answers[found[count].answer].kept_s);
        count++;
    }
    if (count == 0 || age_s < 0 || age_s >= kept_s)
        return false;
    memcpy(asked, found, count * sizeof *found);
    *ret_count = count;
    return true;
}

void symasked_keep(const char *path, uint64_t sources, const struct symfind_asked *asked,
                   size_t count)
{
    STRBUF_AUTO text;
    sb_init(&text, FILE_BYTES_MAX);
    sb_printf(&text, "sources %016llx\n", (unsigned long long)sources);
    for (size_t i = 0; i < count; i++)
        sb_printf(&text, "%u %s\n", (unsigned)asked[i].answer, asked[i].source);
    fs_write_atomic(path, text.p, text.n, FS_FILE_MODE, ERR_IGNORED);
}
