/*
 * The symbol server's program: look-ups, uploads and symbolication behind one FastCGI socket.
 */
#include "fcgi/symbols/symbols.h"

int main(int argc, char **argv)
{
    const struct web_program program = {
        .name = "datil-symbols",
        .workers_key = CONF_SYMBOLS_WORKERS,
        .routes = symbols_routes,
        .route_count = symbols_route_count,
        .start = symbols_start,
        .stop = symbols_stop,
        .tick = symbols_tick,
        .uses_db = true,
        .inactive_text = "API Token matched but user not active",
        .error_body = symbols_error,
    };
    return web_main(&program, argc, argv);
}
