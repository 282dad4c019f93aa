#ifndef HTTP_RESERVED_H
#define HTTP_RESERVED_H

#include <stdbool.h>

struct sockaddr;

/*
 * reserved - which addresses belong to the machine or the network it stands in, and not to the
 * public Internet.
 *
 * True for loopback, private, link-local, shared (carrier) and multicast addresses, for those that
 * stand for no host at all, for tunnels, and for IPv6 addresses that carry such an IPv4 address
 * (mapped, NAT64).  True for every family other than IPv4 and IPv6.
 */
bool http_is_reserved_address(const struct sockaddr *address);

#endif
