/*
 * The signature, and the two rules around it.  They are last in the table: everything that the
 * signature is made of must be there, and the second rule set, "regenerate_signature", runs the
 * last two alone on a processed crash from the store.
 */
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/signature/signature.h"
#include "processor/rules.h"

/* The watchdog crashes a process that hangs. */
static bool is_watchdog(const struct job *job)
{
    size_t i;
    const json_t *frame;
    json_array_foreach (crashing_frames(job, 0), i, frame) {
        const char *function = jget_str(frame, "function");
        if (function && strstr(function, "RunWatchdog"))
            return true;
    }
    return false;
}

/*
 * ReportType. A hang is a process that was ended because it did not answer: its own watchdog
 * crashes in a function of that name, a parent that waited in vain for a message or for the
 * shutdown says so in an annotation. Those keys count by being there, also empty.
 */
bool report_type_act(struct job *job, struct err *err)
{
    (void)err;
    bool is_hang = json_object_get(job->processed, "ipc_channel_error") ||
                   json_object_get(job->processed, "async_shutdown_timeout") || is_watchdog(job);
    set_text(job, "report_type", is_hang ? STR("hang") : STR("crash"));
    return true;
}

/* One text of many lines: that is how the debug log has always been stored. */
static json_t *joined(const json_t *lines)
{
    enum { DEBUG_BYTES_MAX = 1 << 20 }; /* a line for each frame of a stack: some 50 KB */
    STRBUF_AUTO text = {0};
    sb_init(&text, DEBUG_BYTES_MAX);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        sb_text(&text, i ? "\n" : "");
        sb_text(&text, json_string_value(json_array_get(lines, i)));
    }
    return jtext(sb_view(&text));
}

/*
 * SignatureGenerator, behind all rules whose keys the signature rules look at (lib/signature). A
 * signature made anew may have no proto signature or cluster any more: the old ones go first.
 */
bool signature_generator_act(struct job *job, struct err *err)
{
    if (!job->siglists)
        return err_set(err, ERR_INTERNAL, "no signature lists are loaded");
    int64_t begun_us = mono_us();
    json_auto_t *data = signature_crash_data(job->processed);
    struct signature_result r;
    signature_generate(job->siglists, data, &r);
    metric_time(job->metrics, METRIC_SIGNATURE_TIME, mono_us() - begun_us);
    set_value(job, "signature", json_incref(r.signature));
    json_object_del(job->processed, "proto_signature");
    if (r.proto_signature)
        set_value(job, "proto_signature", json_incref(r.proto_signature));
    json_object_del(job->processed, "cluster_key");
    char cluster[SIGNATURE_CLUSTER_SIZE];
    if (signature_cluster_key(job->siglists, r.frames, cluster))
        set_value(job, "cluster_key", json_string(cluster));
    set_value(job, "signature_debug", joined(r.debug));
    json_array_extend(job->notes, r.notes);
    signature_result_release(&r);
    return true;
}

/*
 * ShutDownHangCrashingThread. When a shutdown hangs it is the watchdog thread that crashes, and it
 * knows nothing; the signature was made of the main thread, because that is what hangs.
 */
bool shut_down_hang_crashing_thread_applies(const struct job *job)
{
    return str_starts(processed_text(job, "signature"), STR("shutdownhang"));
}

/* The signature is that of the main thread, so the report shows that one. */
bool shut_down_hang_crashing_thread_act(struct job *job, struct err *err)
{
    (void)err;
    const json_t *main_thread = json_array_get(jget_arr(job_json_dump(job), "threads"), 0);
    struct str name = jget_strn(main_thread, "thread_name");
    set_value(job, "crashing_thread_name", name.p ? jtext(name) : json_null());
    return jset_int(job->processed, "crashing_thread", 0);
}
