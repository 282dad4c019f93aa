#ifndef WEBAPP_PAGES_H
#define WEBAPP_PAGES_H

#include "lib/web/web.h"

/*
 * pages - the handlers of routes.c, one file per page or API family.
 */
web_handler home_get, product_get;
web_handler search_get, search_results_get, search_fields_get, search_quick_get;
web_handler report_get, report_reprocess_post, report_similar_get;
web_handler topcrashers_get;
web_handler signature_get, signature_graph_get, signature_aggregation_get;
web_handler signature_summary_get, signature_reports_get, signature_bugs_get,
    signature_comments_get, signature_correlations_get;
web_handler profile_get;
web_handler api_docs_get;
web_handler api_super_search_get, api_super_search_unredacted_get, api_super_search_fields_get;
web_handler api_processed_crash_get, api_raw_crash_get, api_crash_verify_get;
web_handler api_bugs_get, api_signatures_by_bugs_get, api_signature_first_date_get;
web_handler api_signature_stats_get, api_crash_ping_get;
web_handler api_version_string_get, api_product_versions_post, api_reprocessing_post;
web_handler api_missing_processed_crash_get;
web_handler api_crash_signature_post, api_no_op_get, api_unknown_get;
web_handler api_correlations_get, correlations_file_get, api_similar_crashes_get;
web_handler telemetry_schema_get;
web_handler monitoring_get, monitoring_cron_get, broken_get;
web_handler robots_get, favicon_get, contribute_get, csp_report_post;
web_handler old_query_get, old_profile_get;
web_handler throttling_get;
web_handler tokens_get, tokens_post, tokens_delete_post;
web_handler help_get, help_search_get, help_protected_get, help_memory_get, help_products_get;
web_handler dictionary_get, dictionary_field_get;
web_handler admin_get, admin_list_get, admin_add_post, admin_action_post;
web_handler admin_site_get, admin_search_get, admin_delete_get, admin_delete_post;
web_handler admin_reprocess_get, admin_reprocess_post, admin_reprocess_affected_post,
    admin_reprocess_start_post, admin_reprocess_progress_get;
web_handler admin_purge_get, admin_purge_post, admin_purge_start_post, admin_purge_cancel_post;

extern const struct health webapp_health; /* monitoring.c */

/* What they read (lib/web/param_spec.h). */
extern const struct param_spec *const search_params[],
    *const search_results_params[], *const search_fields_params[], *const search_quick_params[];
extern const struct param_spec *const report_params[], *const report_similar_params[];
extern const struct param_spec *const report_reprocess_params[];
extern const struct param_spec *const topcrashers_params[];
extern const struct param_spec *const signature_params[];
extern const struct param_spec *const tokens_post_params[];
extern const struct param_spec *const admin_list_params[],
    *const admin_action_params[],
        *const admin_missing_params[],
            *const admin_queue_params[],
                *const admin_audit_params[],
                    *const admin_notice_params[],
                        *const admin_graphics_params[],
                            *const admin_platform_params[],
                                *const admin_signature_params[],
                                    *const admin_bug_params[],
                                        *const admin_exception_params[],
                                            *const admin_delete_params[],
                                                *const admin_delete_post_params[];
extern const struct param_spec *const admin_reprocess_params[],
    *const admin_reprocess_start_params[];
extern const struct param_spec *const admin_purge_params[], *const admin_purge_run_params[];
extern const struct param_spec *const api_super_search_params[],
    *const api_super_search_unredacted_params[];
extern const struct param_spec *const api_correlations_params[],
    *const api_similar_crashes_params[];
extern const struct param_spec *const api_processed_crash_params[],
    *const api_raw_crash_params[], *const api_crash_verify_params[];
extern const struct param_spec *const api_crash_ping_params[],
    *const api_signatures_params[], *const api_signature_stats_params[],
                                        *const api_signatures_by_bugs_params[],
                                            *const api_version_string_params[],
                                                *const api_reprocessing_params[],
                                                    *const api_missing_processed_crash_params[],
                                                        *const api_no_op_params[];

#endif
