/*
 * For tests of what may be reached: names that resolve to addresses of our choice, and a public
 * address whose connections end at the machine itself.  Preloaded into the program under test,
 * which otherwise works as ever: it resolves, judges each address and connects.
 *
 *     public.example   93.184.215.14, where 127.0.0.1 answers
 *     inside.example   127.0.0.2
 *     mixed.example    127.0.0.2, the public one, 127.0.0.3
 *     dead.example     127.0.0.2, and a public one that nobody answers at
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
    const char *name, *addresses[3];
} names[] = {
    {"public.example", {"93.184.215.14"}},
    {"inside.example", {"127.0.0.2"}},
    {"mixed.example", {"127.0.0.2", "93.184.215.14", "127.0.0.3"}},
    {"dead.example", {"127.0.0.2", "93.184.215.15"}},
};

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef int connecter(int, const struct sockaddr *, socklen_t);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    resolver *next = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
    for (size_t i = 0; node && i < sizeof names / sizeof *names; i++) {
        if (strcmp(node, names[i].name) != 0)
            continue;
        *ret = NULL;
        for (size_t a = 0; a < 3 && names[i].addresses[a]; a++) {
            int failed = next(names[i].addresses[a], service, hints, ret);
            if (failed)
                return failed;
            while (*ret)
                ret = &(*ret)->ai_next;
        }
        return 0;
    }
    return next(node, service, hints, ret);
}

int connect(int fd, const struct sockaddr *to, socklen_t n)
{
    connecter *next = (connecter *)dlsym(RTLD_NEXT, "connect");
    struct sockaddr_in in;
    if (to->sa_family != AF_INET || n < sizeof in)
        return next(fd, to, n);
    memcpy(&in, to, sizeof in);
    if (in.sin_addr.s_addr == inet_addr("93.184.215.15")) {
        errno = ECONNREFUSED;
        return -1;
    }
    if (in.sin_addr.s_addr == inet_addr("93.184.215.14"))
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return next(fd, (struct sockaddr *)&in, sizeof in);
}
