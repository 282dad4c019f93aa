/*
 * The subjects of the administration as tables: what each list shows, what can be added, and what
 * can be done with a row.  The statements are in sql/admin.sql; a statement that adds nothing says
 * no, so what is good is decided in one place.
 *
 * Lengths are those of what programs send: names of products and channels are words, a notice is a
 * long paragraph, signatures end at 255 characters, which may have four bytes each.
 */
#include "fcgi/webapp/admin_lists.h"
#include "fcgi/webapp/admin_status.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/err.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"

enum { WORD_MAX = 200, NOTICE_MAX = 2000, SIGNATURE_BYTES_MAX = 1020, EMAIL_BYTES_MAX = 254 };

/* clang-format off */
static const struct param_choice
    missing_states[] = {{"", "all"}, {"no", "missing"}, {"yes", "processed since"}, {0}},
    queue_states[] = {{"", "all"}, {"waiting", NULL}, {"running", NULL}, {"failed", NULL}, {0}},
    queue_names[] = {{"", "all"}, {"priority", NULL}, {"standard", NULL}, {"reprocessing", NULL}, {0}},
    severities[] = {{"info", NULL}, {"warning", NULL}, {"critical", NULL}, {0}};

#define WORD(name_, flags_, refusal_, help_) \
    {name_, PARAM_TEXT, (flags_) | PARAM_TRIMMED, .max = WORD_MAX, .refusal = refusal_, .help = help_}
static const struct param_spec
    missing_state = {"state", PARAM_CHOICE, PARAM_LENIENT, .choices = missing_states, .help = "missing or not"},
    queue_state = {"state", PARAM_CHOICE, PARAM_LENIENT, .choices = queue_states, .help = "waiting, running or failed"},
    queue_name = {"queue", PARAM_CHOICE, PARAM_LENIENT, .choices = queue_names, .help = "which queue"},
    who = {"user", PARAM_TEXT, PARAM_TRIMMED | PARAM_LENIENT, .max = EMAIL_BYTES_MAX, .help = "part of an e-mail address or job"},
    object = {"object", PARAM_TEXT, PARAM_TRIMMED | PARAM_LENIENT, .max = WORD_MAX, .help = "user, crash, token …"},
    action = {"action", PARAM_TEXT, PARAM_TRIMMED | PARAM_LENIENT, .max = WORD_MAX, .help = "add, delete …"},
    first_day = {"from", PARAM_DATE, PARAM_LENIENT, .help = "first day"},
    last_day = {"to", PARAM_DATE, PARAM_LENIENT, .help = "last day"},
    notice = {"message", PARAM_TEXT, PARAM_REQUIRED | PARAM_TRIMMED, .max = NOTICE_MAX,
              .refusal = "A notice needs a text of at most 2,000 bytes", .help = "text of the notice"},
    severity = {"severity", PARAM_CHOICE, PARAM_REQUIRED, .choices = severities,
                .refusal = "A notice is info, warning or critical", .help = "how it looks"},
    vendor_hex = WORD("vendor_hex", PARAM_REQUIRED, "The vendor is missing", "vendor, four hexadecimal digits"),
    adapter_hex = WORD("adapter_hex", 0, "The device is too long", "device, likewise; empty: the vendor itself"),
    vendor_name = WORD("vendor_name", PARAM_REQUIRED, "The name of the vendor is missing", "its name"),
    adapter_name = WORD("adapter_name", 0, "The name is too long", "name of the device"),
    platform_name = WORD("name", PARAM_REQUIRED, "The name is missing", "as in os_name of crashes"),
    short_name = WORD("short_name", PARAM_REQUIRED, "The short name is missing", "its first three letters"),
    new_signature = {"signature", PARAM_TEXT, PARAM_REQUIRED, .max = SIGNATURE_BYTES_MAX,
                     .refusal = "A signature of at most 1,020 bytes is needed", .help = "the signature"},
    first_build = WORD("first_build", 0, "The build is too long", "build, digits"),
    first_date = {"first_date", PARAM_DATE, PARAM_REQUIRED, .refusal = "The date is missing", .help = "first day"},
    bug_id = WORD("bug_id", PARAM_REQUIRED, "The number of the bug is missing", "number of the bug"),
    email = {"user", PARAM_TEXT, PARAM_REQUIRED | PARAM_TRIMMED, .max = EMAIL_BYTES_MAX,
             .refusal = "The e-mail address is missing", .help = "e-mail address of the account"},
    comment = {"comment", PARAM_TEXT, PARAM_REQUIRED | PARAM_TRIMMED, .max = NOTICE_MAX,
               .refusal = "Say why", .help = "why"};

const struct param_spec
    *const admin_missing_params[] = {&admin_part, &admin_page_number, &admin_done, &missing_state, NULL},
    *const admin_queue_params[] = {&admin_part, &admin_page_number, &admin_done, &queue_state, &queue_name, NULL},
    *const admin_audit_params[] = {&admin_part, &admin_page_number, &admin_done, &who, &object, &action, &first_day, &last_day, NULL},
    *const admin_notice_params[] = {&notice, &severity, NULL},
    *const admin_graphics_params[] = {&vendor_hex, &adapter_hex, &vendor_name, &adapter_name, NULL},
    *const admin_platform_params[] = {&platform_name, &short_name, NULL},
    *const admin_signature_params[] = {&new_signature, &first_build, &first_date, NULL},
    *const admin_bug_params[] = {&bug_id, &new_signature, NULL},
    *const admin_exception_params[] = {&email, &comment, NULL};
/* clang-format on */

/* The priority queue, as for a report that somebody waits for.  The list is the only door: an id
 * that is not in it is not queued. */
static bool put_back_missing(struct req *r, const char *id, struct err *err)
{
    DB_ROWS found = {0};
    if (!DB_RUN(req_db(r), &q_admin_missing_find, &found, err, id))
        return err_wrap(err, "missing crashes");
    if (found.count == 0)
        return err_set(err, ERR_NOT_FOUND, "There is no such crash in this list");
    return ledger_publish(req_db(r), id, "default", QUEUE_PRIORITY, NULL, NULL, err) ||
           err_wrap(err, "queueing a crash");
}

/* clang-format off */
const struct admin_subject admin_subjects[] = {
    {.path = "accounts/", .word = "Accounts", .object = "user",
     .lead = "who can log in; changed with datil user and datil group",
     .list = &q_admin_account_list,
     .columns = {{"E-mail", Q_ADMIN_ACCOUNT_LIST_COL_EMAIL, AS_TEXT}, {"Name", Q_ADMIN_ACCOUNT_LIST_COL_NAME, AS_TEXT},
                 {"Active", Q_ADMIN_ACCOUNT_LIST_COL_ACTIVE, AS_TEXT}, {"Groups", Q_ADMIN_ACCOUNT_LIST_COL_GROUPS, AS_TEXT},
                 {"Superuser", Q_ADMIN_ACCOUNT_LIST_COL_SUPERUSER, AS_TEXT}, {"Joined", Q_ADMIN_ACCOUNT_LIST_COL_JOINED, AS_TIME},
                 {"Last log-in", Q_ADMIN_ACCOUNT_LIST_COL_LAST_LOGIN, AS_TIME},
                 {"Policy exception", Q_ADMIN_ACCOUNT_LIST_COL_EXCEPTED, AS_TEXT}}},
    {.path = "groups/", .word = "Groups", .object = "group", .lead = "what their members may do",
     .list = &q_admin_group_list,
     .columns = {{"Group", Q_ADMIN_GROUP_LIST_COL_NAME, AS_TEXT}, {"#Members", Q_ADMIN_GROUP_LIST_COL_MEMBERS, AS_NUMBER},
                 {"Permissions", Q_ADMIN_GROUP_LIST_COL_PERMISSIONS, AS_MONO}}},
    {.path = "exceptions/", .word = "Policy exceptions", .object = "policy exception",
     .lead = "accounts that keep protected data although their address is elsewhere",
     .list = &q_admin_exception_list, .id = Q_ADMIN_EXCEPTION_LIST_COL_ID,
     .columns = {{"Account", Q_ADMIN_EXCEPTION_LIST_COL_EMAIL, AS_TEXT}, {"Comment", Q_ADMIN_EXCEPTION_LIST_COL_COMMENT, AS_TEXT},
                 {"Since", Q_ADMIN_EXCEPTION_LIST_COL_CREATED, AS_TIME}},
     .fields = {{&email, "User", "E-mail address of an account"}, {&comment, "Comment", "Why, and until when"}},
     .add = &q_admin_exception_add, .added_name = Q_ADMIN_EXCEPTION_ADD_COL_NAME,
     .add_refused = "There is no such account, or it has an exception already",
     .actions = {{"delete/", "Delete", "The next audit of groups may take access from this account.",
                  Q_ADMIN_EXCEPTION_LIST_COL_IS_THERE, &q_admin_exception_delete, Q_ADMIN_EXCEPTION_DELETE_COL_NAME, NULL, true}}},
    {.path = "tokens/", .word = "Tokens", .object = "token", .lead = "API tokens of all accounts",
     .list = &q_admin_token_list, .id = Q_ADMIN_TOKEN_LIST_COL_ID,
     .columns = {{"Key begins with", Q_ADMIN_TOKEN_LIST_COL_KEY_START, AS_MONO}, {"Account", Q_ADMIN_TOKEN_LIST_COL_EMAIL, AS_TEXT},
                 {"Permissions", Q_ADMIN_TOKEN_LIST_COL_PERMISSIONS, AS_MONO}, {"Created", Q_ADMIN_TOKEN_LIST_COL_CREATED, AS_TIME},
                 {"Expires", Q_ADMIN_TOKEN_LIST_COL_EXPIRES, AS_TIME}, {"Notes", Q_ADMIN_TOKEN_LIST_COL_NOTES, AS_TEXT}},
     .actions = {{"delete/", "Delete", "Programs that use this token will be refused.", Q_ADMIN_TOKEN_LIST_COL_IS_THERE,
                  &q_admin_token_delete, Q_ADMIN_TOKEN_DELETE_COL_NAME, NULL, true}}},
    {.path = "versions/", .word = "Product versions", .object = "product version",
     .lead = "which version a build is; more with datil version load and the API",
     .list = &q_admin_version_list, .id = Q_ADMIN_VERSION_LIST_COL_ID,
     .columns = {{"Product", Q_ADMIN_VERSION_LIST_COL_PRODUCT_NAME, AS_TEXT}, {"Channel", Q_ADMIN_VERSION_LIST_COL_RELEASE_CHANNEL, AS_TEXT},
                 {"Version", Q_ADMIN_VERSION_LIST_COL_VERSION_STRING, AS_TEXT}, {"Build", Q_ADMIN_VERSION_LIST_COL_BUILD_ID, AS_MONO},
                 {"Release version", Q_ADMIN_VERSION_LIST_COL_RELEASE_VERSION, AS_TEXT},
                 {"#Major", Q_ADMIN_VERSION_LIST_COL_MAJOR_VERSION, AS_NUMBER}},
     .actions = {{"delete/", "Delete", "New crashes of this build will have no such version.", Q_ADMIN_VERSION_LIST_COL_IS_THERE,
                  &q_admin_version_delete, Q_ADMIN_VERSION_DELETE_COL_NAME, NULL, true}}},
    {.path = "bugs/", .word = "Bug associations", .object = "bug association", .lead = "which bugs are about which signatures",
     .list = &q_admin_bug_list, .id = Q_ADMIN_BUG_LIST_COL_ID,
     .columns = {{"#Bug", Q_ADMIN_BUG_LIST_COL_BUG_ID, AS_NUMBER}, {"Signature", Q_ADMIN_BUG_LIST_COL_SIGNATURE, AS_SIGNATURE}},
     .fields = {{&bug_id, "Bug", NULL}, {&new_signature, "Signature", NULL}},
     .add = &q_admin_bug_add, .added_name = Q_ADMIN_BUG_ADD_COL_NAME,
     .add_refused = "The number of a bug is needed, and a pair that is not there yet",
     .actions = {{"delete/", "Delete", "The job that asks the bug tracker may bring it back.", Q_ADMIN_BUG_LIST_COL_IS_THERE,
                  &q_admin_bug_delete, Q_ADMIN_BUG_DELETE_COL_NAME, NULL, true}}},
    {.path = "graphics/", .word = "Graphics devices", .object = "graphics device", .lead = "names of vendors and devices",
     .list = &q_admin_graphics_list, .id = Q_ADMIN_GRAPHICS_LIST_COL_ID,
     .columns = {{"Vendor", Q_ADMIN_GRAPHICS_LIST_COL_VENDOR_HEX, AS_MONO}, {"Device", Q_ADMIN_GRAPHICS_LIST_COL_ADAPTER_HEX, AS_MONO},
                 {"Name of the vendor", Q_ADMIN_GRAPHICS_LIST_COL_VENDOR_NAME, AS_TEXT},
                 {"Name of the device", Q_ADMIN_GRAPHICS_LIST_COL_ADAPTER_NAME, AS_TEXT}},
     .fields = {{&vendor_hex, "Vendor", "Four hexadecimal digits, such as 0x10de"}, {&adapter_hex, "Device", "Empty: the vendor itself"},
                {&vendor_name, "Name of the vendor", NULL}, {&adapter_name, "Name of the device", NULL}},
     .add = &q_admin_graphics_add, .added_name = Q_ADMIN_GRAPHICS_ADD_COL_NAME,
     .add_refused = "Vendor and device are four hexadecimal digits each, and not in the list yet",
     .actions = {{"delete/", "Delete", "Reports will show the numbers in place of the name.", Q_ADMIN_GRAPHICS_LIST_COL_IS_THERE,
                  &q_admin_graphics_delete, Q_ADMIN_GRAPHICS_DELETE_COL_NAME, NULL, true}}},
    {.path = "platforms/", .word = "Platforms", .object = "platform", .lead = "operating systems that Top Crashers count by",
     .list = &q_admin_platform_list, .id = Q_ADMIN_PLATFORM_LIST_COL_ID,
     .columns = {{"Name", Q_ADMIN_PLATFORM_LIST_COL_NAME, AS_TEXT}, {"Short name", Q_ADMIN_PLATFORM_LIST_COL_SHORT_NAME, AS_MONO}},
     .fields = {{&platform_name, "Name", "As in os_name of crashes"}, {&short_name, "Short name", "Its first three letters, such as lin"}},
     .add = &q_admin_platform_add, .added_name = Q_ADMIN_PLATFORM_ADD_COL_NAME, .add_refused = "There is a platform of this name",
     .actions = {{"delete/", "Delete", "Its column disappears from Top Crashers.", Q_ADMIN_PLATFORM_LIST_COL_IS_THERE,
                  &q_admin_platform_delete, Q_ADMIN_PLATFORM_DELETE_COL_NAME, NULL, true}}},
    {.path = "signatures/", .word = "Signatures", .object = "signature", .lead = "when each was first seen",
     .list = &q_admin_signature_list, .id = Q_ADMIN_SIGNATURE_LIST_COL_SIGNATURE,
     .columns = {{"Signature", Q_ADMIN_SIGNATURE_LIST_COL_SIGNATURE, AS_SIGNATURE}, {"First seen", Q_ADMIN_SIGNATURE_LIST_COL_FIRST_DATE, AS_TIME},
                 {"First build", Q_ADMIN_SIGNATURE_LIST_COL_FIRST_BUILD, AS_MONO}},
     .fields = {{&new_signature, "Signature", NULL}, {&first_build, "First build", "Digits, such as 20260101000000; may be empty"},
                {&first_date, "First seen", NULL}},
     .add = &q_admin_signature_add, .added_name = Q_ADMIN_SIGNATURE_ADD_COL_NAME,
     .add_refused = "It is in the list already, or the build is no number",
     .actions = {{"delete/", "Delete", "The job updatesignatures notes it again with its next crash.", Q_ADMIN_SIGNATURE_LIST_COL_IS_THERE,
                  &q_admin_signature_delete, Q_ADMIN_SIGNATURE_DELETE_COL_NAME, NULL, true}}},
    {.path = "missing/", .word = "Missing crashes", .object = "missing crash", .lead = "accepted, and found not processed",
     .list = &q_admin_missing_list, .id = Q_ADMIN_MISSING_LIST_COL_CRASH_ID,
     .columns = {{"Crash", Q_ADMIN_MISSING_LIST_COL_CRASH_ID, AS_CRASH}, {"Found", Q_ADMIN_MISSING_LIST_COL_CREATED, AS_TIME},
                 {"State", Q_ADMIN_MISSING_LIST_COL_STATE, AS_TEXT}},
     .filters = {{&missing_state, "State", NULL}},
     .actions = {{"put-back/", "Put back", "It goes into the priority queue.", Q_ADMIN_MISSING_LIST_COL_IS_OPEN, NULL, 0,
                  put_back_missing, false}}},
    {.path = "notices/", .word = "Status notices", .object = "notice", .lead = "stand above every page",
     .list = &q_admin_notice_list, .id = Q_ADMIN_NOTICE_LIST_COL_ID,
     .columns = {{"Text", Q_ADMIN_NOTICE_LIST_COL_MESSAGE, AS_TEXT}, {"Severity", Q_ADMIN_NOTICE_LIST_COL_SEVERITY, AS_TEXT},
                 {"Shown", Q_ADMIN_NOTICE_LIST_COL_SHOWN, AS_TEXT}, {"Created", Q_ADMIN_NOTICE_LIST_COL_CREATED, AS_TIME}},
     .fields = {{&notice, "Text", "bug #123 becomes a link"}, {&severity, "Severity", NULL}},
     .add = &q_admin_notice_add, .added_name = Q_ADMIN_NOTICE_ADD_COL_NAME, .add_refused = "", .changed = site_forget_notices,
     .actions = {{"hide/", "Hide", "It is kept in this list.", Q_ADMIN_NOTICE_LIST_COL_IS_ENABLED, &q_admin_notice_hide,
                  Q_ADMIN_NOTICE_HIDE_COL_NAME, NULL, false},
                 {"show/", "Show", "Everybody sees it again.", Q_ADMIN_NOTICE_LIST_COL_IS_HIDDEN, &q_admin_notice_show,
                  Q_ADMIN_NOTICE_SHOW_COL_NAME, NULL, false}}},
    {.path = "audit/", .word = "Audit log", .object = "audit", .lead = "who changed what",
     .list = &q_admin_audit_list,
     .columns = {{"Time", Q_ADMIN_AUDIT_LIST_COL_TIME, AS_TIME}, {"Who", Q_ADMIN_AUDIT_LIST_COL_USER_NAME, AS_TEXT},
                 {"Object", Q_ADMIN_AUDIT_LIST_COL_OBJECT, AS_TEXT}, {"Which", Q_ADMIN_AUDIT_LIST_COL_OBJECT_ID, AS_MONO},
                 {"Action", Q_ADMIN_AUDIT_LIST_COL_ACTION, AS_TEXT}, {"Message", Q_ADMIN_AUDIT_LIST_COL_MESSAGE, AS_TEXT}},
     .filters = {{&who, "Who", NULL}, {&object, "Object", "Such as user, crash, token"}, {&action, "Action", NULL},
                 {&first_day, "From (UTC)", NULL}, {&last_day, "To (UTC)", NULL}}},
    {.path = "jobs/", .word = "Jobs", .object = "job", .lead = "what the scheduler does; how it went is at /monitoring/cron/",
     .list = &q_admin_job_list, .id = Q_ADMIN_JOB_LIST_COL_APP_NAME,
     .columns = {{"Job", Q_ADMIN_JOB_LIST_COL_APP_NAME, AS_MONO}, {"What it does", Q_ADMIN_JOB_LIST_COL_HELP, AS_TEXT},
                 {"State", Q_ADMIN_JOB_LIST_COL_STATE, AS_TEXT}, {"Last success", Q_ADMIN_JOB_LIST_COL_LAST_SUCCESS, AS_TIME},
                 {"Next run", Q_ADMIN_JOB_LIST_COL_NEXT_RUN, AS_TIME}, {"Last error", Q_ADMIN_JOB_LIST_COL_ERROR, AS_TEXT}},
     .actions = {{"run/", "Run", "It starts when the scheduler looks next.", Q_ADMIN_JOB_LIST_COL_IS_IDLE, &q_admin_job_run,
                  Q_ADMIN_JOB_RUN_COL_NAME, NULL, false}}},
    {.path = "queues/", .word = "Queues", .object = "queue", .lead = "what waits to be processed, and what has failed",
     .list = &q_admin_queue_list, .id = Q_ADMIN_QUEUE_LIST_COL_ID, .sections = admin_queue_sections,
     .columns = {{"Crash", Q_ADMIN_QUEUE_LIST_COL_CRASH_ID, AS_CRASH}, {"Queue", Q_ADMIN_QUEUE_LIST_COL_QUEUE, AS_TEXT},
                 {"State", Q_ADMIN_QUEUE_LIST_COL_STATE, AS_TEXT}, {"Rules", Q_ADMIN_QUEUE_LIST_COL_RULESET, AS_MONO},
                 {"Since", Q_ADMIN_QUEUE_LIST_COL_CREATED, AS_TIME}, {"#Attempts", Q_ADMIN_QUEUE_LIST_COL_ATTEMPTS, AS_NUMBER},
                 {"#Deaths of workers", Q_ADMIN_QUEUE_LIST_COL_WORKER_DEATHS, AS_NUMBER}, {"Last error", Q_ADMIN_QUEUE_LIST_COL_LAST_ERROR, AS_TEXT}},
     .filters = {{&queue_state, "State", NULL}, {&queue_name, "Queue", NULL}},
     .actions = {{"put-back/", "Put back", "It waits again, with no attempts counted.", Q_ADMIN_QUEUE_LIST_COL_IS_FAILED,
                  &q_admin_queue_put_back, Q_ADMIN_QUEUE_PUT_BACK_COL_NAME, NULL, false}}},
    {.path = "protected/", .word = "Protected data users", .object = "user", .lead = "who sees protected data, and why",
     .list = &q_admin_protected_list,
     .columns = {{"Account", Q_ADMIN_PROTECTED_LIST_COL_EMAIL, AS_TEXT}, {"By", Q_ADMIN_PROTECTED_LIST_COL_BECAUSE, AS_TEXT},
                 {"Last log-in", Q_ADMIN_PROTECTED_LIST_COL_LAST_LOGIN, AS_TIME}}},
};
/* clang-format on */
const size_t admin_subject_count = ARRAY_LEN(admin_subjects);
