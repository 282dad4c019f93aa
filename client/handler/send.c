/*
 * One report to a collector, as the form that Breakpad's and Crashpad's senders make: annotations
 * as one JSON part, the dump as a file. libcurl does the transport; this file decides what an
 * answer means.
 *
 * The limits keep a handler from staying for ever behind a program that the user believes to be
 * closed.  Linux sends the first packet of a connection again after 1, 3 and 7 seconds, so
 * CONNECT_TIMEOUT_S stands three losses; within TIMEOUT_S the largest report (DUMP_BYTES_MAX) goes
 * out at 1.7 Mbit/s.  Redirects lead from http to https and from an old host to a new one.
 * ANSWER_MAX is for the error page of a proxy: an answer of a collector is one line.
 */
#include "client/handler/send.h"

#include <curl/curl.h>
#include <stdio.h>

#include "lib/base/util.h"

/*
 * A machine that crashes may be on a slow line: a dump of some megabytes gets two minutes.  The
 * answer is a line with the crash id; what is longer comes from somebody else.
 */
enum { CONNECT_TIMEOUT_S = 10, TIMEOUT_S = 120, REDIRECTS_MAX = 3, ANSWER_MAX = 64 << 10 };

/* People give the address of a server as often as that of its /submit. */
bool send_url(const char *url, char *out, size_t size, struct err *err)
{
    struct str u = str_of(url);
    size_t host = str_starts(u, STR("http://")) ? 7 : str_starts(u, STR("https://")) ? 8 : 0;
    if (!host || u.n == host)
        return err_set(err, ERR_INVALID, "not an http or https address: %.100s", url);
    size_t slash = str_find_char(u, '/', host);
    const char *path = slash == SIZE_MAX ? "/submit" : slash == u.n - 1 ? "submit" : "";
    int n = snprintf(out, size, "%s%s", url, path);
    if (n < 0 || (size_t)n >= size)
        return err_set(err, ERR_INVALID, "address of %zu bytes is too long", u.n);
    return true;
}

/* CrashID=bp-<uuid>, with nothing in it that would hurt in a terminal or a file name. */
static bool take_id(struct str body, char ret_id[SEND_ID_MAX])
{
    struct str line;
    while (str_split(&body, '\n', &line)) {
        line = str_trim(line);
        if (!str_starts(line, STR("CrashID=")))
            continue;
        struct str id = str_sub(line, 8, SIZE_MAX);
        if (id.n == 0 || id.n >= SEND_ID_MAX)
            return false;
        for (size_t i = 0; i < id.n; i++)
            if (hex_digit(id.p[i]) < 0 && id.p[i] != '-' && id.p[i] != 'p')
                return false;
        snprintf(ret_id, SEND_ID_MAX, STR_FMT, STR_ARG(id));
        return true;
    }
    return false;
}

/*
 * An id: the collector has it for good. "Discarded=" and 413 are decisions about this report, and
 * sending it again would have the same answer.  All others, 400 among them, may come from a proxy
 * or a portal in front of the collector, so the report is kept.
 */
bool send_judge(long status, struct str body, char ret_id[SEND_ID_MAX], struct err *err)
{
    if (status == 200 && take_id(body, ret_id))
        return true;
    struct str text = str_trim(str_sub(body, 0, 100));
    char shown[101];
    size_t n = 0;
    for (; n < text.n; n++)
        shown[n] = text.p[n] >= ' ' && text.p[n] < 127 ? text.p[n] : '?';
    shown[n] = '\0';
    bool decided = str_starts(text, STR("Discarded="));
    if (decided || status == 413)
        return err_set(err, ERR_INVALID, "status %ld: %s", status, shown);
    return err_set(err, ERR_UNAVAILABLE, "status %ld", status);
}

static size_t collect_answer(char *p, size_t size, size_t n, void *arg)
{
    sb_put(arg, p, size * n);
    return size * n; /* a longer answer is cut, not an error */
}

static void add_parts(curl_mime *form, struct str json, const char *dump_path)
{
    curl_mimepart *extra = curl_mime_addpart(form);
    curl_mime_name(extra, "extra");
    curl_mime_filename(extra, "extra.json");
    curl_mime_type(extra, "application/json");
    curl_mime_data(extra, json.p, json.n);
    if (!dump_path)
        return;
    curl_mimepart *dump = curl_mime_addpart(form);
    curl_mime_name(dump, "upload_file_minidump");
    curl_mime_filedata(dump, dump_path);
    curl_mime_filename(dump, "upload_file_minidump.dmp");
    curl_mime_type(dump, "application/octet-stream");
}

/* Limits on time, size and redirects. */
static void set_options(CURL *curl, const char *url, struct strbuf *body, char why[CURL_ERROR_SIZE])
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    /* A collector that has moved; never from https to something less. */
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                     str_starts(str_of(url), STR("https:")) ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "datil-client/" DATIL_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
}

bool send_report(const char *url, struct str json, const char *dump_path, char ret_id[SEND_ID_MAX],
                 struct err *err)
{
    char full[2048], why[CURL_ERROR_SIZE] = "";
    struct err bad = {0};
    if (!send_url(url, full, sizeof full,
                  &bad)) /* whoever configured it is wrong, not the report */
        return err_set(err, ERR_UNAVAILABLE, "%s", bad.msg);
    CURL *curl = curl_easy_init();
    if (!curl)
        return err_set(err, ERR_UNAVAILABLE, "libcurl does not start");
    STRBUF_AUTO body;
    sb_init(&body, ANSWER_MAX);
    set_options(curl, full, &body, why);
    curl_mime *form = curl_mime_init(curl);
    add_parts(form, json, dump_path);
    curl_easy_setopt(curl, CURLOPT_MIMEPOST, form);
    /* Without this libcurl asks first and waits a second for servers that do not answer that. */
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);

    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_mime_free(form);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK)
        return err_set(err, ERR_UNAVAILABLE, "%s", why[0] ? why : curl_easy_strerror(code));
    return send_judge(status, sb_view(&body), ret_id, err);
}
