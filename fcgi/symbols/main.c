/*
 * The symbol server's program: look-ups, uploads and symbolication behind one FastCGI socket.
 */
#include "fcgi/symbols/symbol_server.h"
#include "fcgi/symbols/symbol_pages.h"
#include "lib/base/metrics.h"
#include "lib/web/web.h"
#include "rows.h"

static const struct web_turns symbolication_turns = {
    "symbolications", CONF_SYMBOLICATE_MAX_CONCURRENT, CONF_SYMBOLICATE_MAX_PER_ADDRESS};

int main(int argc, char **argv)
{
    const struct web_program program = {
        .name = "datil-symbols",
        .workers_key = CONF_SYMBOLS_WORKERS,
        .routes = symbol_server_routes,
        .route_count = symbol_server_route_count,
        .start = symbol_server_start,
        .stop = symbol_server_stop,
        .tick = symbol_server_tick,
        .template_dir = "templates",
        .template_rows = &page_rows,
        .layout = symbol_page_titled,
        .uses_db = true,
        .health = &symbol_server_health,
        .metrics = metrics_new(),
        .metrics_program = IN_SYMBOLS,
        .request_metric = METRIC_SYMBOL_PAGEVIEW,
        .api_metric = METRIC_SYMBOL_API,
        .turns = &symbolication_turns,
        .inactive_text = "API Token matched but user not active",
        .error_body = symbol_server_error,
        .stand_in_error_body = symbol_server_json_error,
    };
    return web_main(&program, argc, argv);
}
