/*
 * The symbol server's program: look-ups, uploads and symbolication behind one FastCGI socket.
 */
#include <stdio.h>

#include "fcgi/symbols/symbol_counters.h"
#include "fcgi/symbols/symbol_server.h"
#include "fcgi/symbols/symbol_pages.h"
#include "lib/base/err.h"
#include "lib/web/counters.h"
#include "lib/web/web.h"
#include "rows.h"

static const struct web_turns symbolication_turns = {
    "symbolications", CONF_SYMBOLICATE_MAX_CONCURRENT, CONF_SYMBOLICATE_MAX_PER_ADDRESS};

int main(int argc, char **argv)
{
    struct counters *counters;
    struct err err = {0};
    if (!counters_new(&symbol_counters, &counters, &err)) {
        fprintf(stderr, "datil-symbols: %s\n", err.msg);
        return 1;
    }
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
        .turns = &symbolication_turns,
        .arg = counters,
        .inactive_text = "API Token matched but user not active",
        .error_body = symbol_server_error,
        .stand_in_error_body = symbol_server_json_error,
    };
    return web_main(&program, argc, argv);
}
