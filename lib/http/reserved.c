/*
 * A server that fetches what a stranger names must not be led to what stands beside it: metadata
 * services, databases, printers.  The decision is made on the address that the connection would go
 * to, after the name was resolved, so that no spelling of a name or a number leads around it.
 *
 * The rows are the special-purpose registries of IANA (RFC 6890 and its successors).  For IPv6
 * what is allocated is listed and not what is reserved: all unicast addresses of the Internet
 * begin with the bits 001, and everything else is refused but the two forms that carry an IPv4
 * address, which is then looked at itself.
 */
#include "lib/http/reserved.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/util.h"

struct prefix {
    uint8_t bytes[16]; /* the rest is zero */
    unsigned bits;
};

static const struct prefix reserved_v4[] = {
    {{0}, 8},             /* "this network"; 0.0.0.0 reaches the machine itself */
    {{10}, 8},            /* private */
    {{100, 64}, 10},      /* shared by carriers */
    {{127}, 8},           /* loopback */
    {{169, 254}, 16},     /* link-local, with the metadata services of clouds */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2}, 24},    /* documentation */
    {{192, 88, 99}, 24},  /* relays of 6to4 */
    {{192, 168}, 16},     /* private */
    {{198, 18}, 15},      /* benchmarks */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{224}, 4},           /* multicast */
    {{240}, 4},           /* reserved, and broadcast */
};

static const struct prefix global_v6 = {{0x20}, 3};

/* Inside of the global ones. */
static const struct prefix reserved_v6[] = {
    {{0x20, 0x01}, 23},             /* protocol assignments, with the tunnels of Teredo */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02}, 16},             /* 6to4: a tunnel to any IPv4 address */
    {{0x3f, 0xff}, 20},             /* documentation */
};

/* The last four bytes are an IPv4 address, and the connection ends there. */
static const struct prefix carrying_v4[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96}, /* mapped */
    {{0x00, 0x64, 0xff, 0x9b}, 96},                   /* NAT64, what DNS64 answers */
};

static bool is_within(const uint8_t *address, const struct prefix *p)
{
    unsigned whole = p->bits / 8, rest = p->bits % 8;
    if (memcmp(address, p->bytes, whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ p->bytes[whole]) >> (8 - rest) == 0;
}

static bool is_within_any(const uint8_t *address, const struct prefix *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_within(address, &rows[i]))
            return true;
    return false;
}

static bool is_reserved_v4(const uint8_t address[4])
{
    return is_within_any(address, reserved_v4, ARRAY_LEN(reserved_v4));
}

static bool is_reserved_v6(const uint8_t address[16])
{
    if (is_within_any(address, carrying_v4, ARRAY_LEN(carrying_v4)))
        return is_reserved_v4(address + 12);
    return !is_within(address, &global_v6) ||
           is_within_any(address, reserved_v6, ARRAY_LEN(reserved_v6));
}

bool http_is_reserved_address(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return is_reserved_v4((const uint8_t *)&v4.sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        return is_reserved_v6(v6.sin6_addr.s6_addr);
    }
    return true;
}
