/*
 * What a new installation accepts.  Each row becomes a file of its own in the products
 * directory; from then on the files decide, not this table.
 */
#include "lib/crash/product_files.h"

#include "lib/base/util.h"

#define DETAILS "https://product-details.mozilla.org/1.0/"

/* The form for a new bug, filled in: %(…)s are replaced by what a report says (report_bugs.c). */
static const char bugzilla[] =
    "\"bug_links\": [[\"Bugzilla\", \"https://bugzilla.mozilla.org/enter_bug.cgi?bug_type="
    "%(bug_type)s&op_sys=%(op_sys)s&rep_platform=%(rep_platform)s&short_desc=%(title)s&"
    "cf_crash_signature=%(signature)s&comment=%(description)s\"]]";

const struct product_file product_files[] = {
    {"Firefox", "Firefox, a web browser for desktop computers", 1, "\"auto\"", "", "",
     "\"firefox-desktop\"", true, bugzilla},
    {"Fenix", "Firefox for Android", 2,
     "\"product_details.version\", \"product_details.beta_version\", "
     "\"product_details.nightly_version\"",
     DETAILS "mobile_versions.json",
     "\"org.mozilla.firefox\", \"org.mozilla.firefox_beta\", \"org.mozilla.fenix\"",
     "\"org-mozilla-fenix\", \"org-mozilla-firefox\", \"org-mozilla-firefox-beta\"", false,
     bugzilla},
    {"Focus", "Firefox Focus, a privacy browser for Android", 3, "\"auto\"", "",
     "\"org.mozilla.focus\", \"org.mozilla.focus.beta\", \"org.mozilla.focus.nightly\", "
     "\"org.mozilla.klar\"",
     "", false, bugzilla},
    {"MozillaVPN", "Mozilla VPN client", 4, "\"auto\"", "", "", "", false, bugzilla},
    {"Firefox Enterprise", "Firefox for organisations", 5, "\"auto\"", "", "", "", false, bugzilla},
    {"ReferenceBrowser", "Reference Browser, a test bed for Android components", 11, "\"auto\"", "",
     "\"org.mozilla.reference.browser\"", "", false, bugzilla},
    {"Thunderbird", "Thunderbird, a mail client", 80,
     "\"product_details.LATEST_THUNDERBIRD_VERSION\", "
     "\"product_details.LATEST_THUNDERBIRD_DEVEL_VERSION\", "
     "\"product_details.LATEST_THUNDERBIRD_NIGHTLY_VERSION\"",
     DETAILS "thunderbird_versions.json", "", "", false, bugzilla},
    {"Crashme", "Datil's example program that crashes on purpose", 90, "\"auto\"", "", "", "",
     false, "\"bug_links\": []"},
};
const size_t product_file_count = ARRAY_LEN(product_files);
