/*
 * The order of things matters here.  The uid changes first, with the permitted capabilities kept
 * (PR_SET_KEEPCAPS); then the effective set is emptied, and only in that state does access() tell
 * whether the plain user can go where the program has to.  What is kept is decided by that answer
 * and by nothing else, so a program never carries a capability that it does not need.  Kept ones
 * are made ambient: a program that ours starts (the walker beside the processor, pg_dump) comes
 * from the same closed place.
 *
 * capset() is called directly: libcap would be one more library for two calls, and the layout of
 * its argument is part of the kernel's interface (linux/capability.h, version 3: 64 bits in two
 * words).
 */
#include "lib/base/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"

enum { NOBODY = 65534 }; /* the kernel's overflow uid, "nobody" on Debian */

typedef uint64_t cap_set;

static cap_set cap(int number)
{
    return (cap_set)1 << number;
}

static bool read_caps(struct __user_cap_data_struct data[2], struct err *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    if (syscall(SYS_capget, &head, data) != 0)
        return err_errno(err, errno, "reading the capabilities");
    return true;
}

static bool write_caps(cap_set effective, cap_set permitted, cap_set inheritable, struct err *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    if (syscall(SYS_capset, &head, data) != 0)
        return err_errno(err, errno, "setting the capabilities");
    return true;
}

static bool permitted_caps(cap_set *ret, struct err *err)
{
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    if (!read_caps(data, err))
        return false;
    *ret = data[0].permitted | (cap_set)data[1].permitted << 32;
    return true;
}

/* Exactly these remain, for this process and for what it starts. */
static bool keep_caps(cap_set kept, struct err *err)
{
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (!write_caps(kept, kept, kept, err))
        return false;
    for (int i = 0; i < 64; i++)
        if ((kept & cap(i)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) != 0)
            return err_errno(err, errno, "keeping a capability for child processes");
    return true;
}

static bool can_enter(const char *path)
{
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 || errno == ENOENT;
}

/* With what the process may do now: the data, the shared files, the programs. */
static bool can_reach(const struct conf *conf)
{
    char folder[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
    folder[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    const char *share = conf_text(conf, CONF_DATIL_SHARE);
    return can_enter(conf_text(conf, CONF_DATIL_VAR)) && can_enter(folder) &&
           can_enter(*share ? share : fs_share_dir());
}

struct var_owner {
    char name[64]; /* empty: a uid without a name */
    uid_t uid;
    gid_t gid;
};

/* ERR_NOT_FOUND: DATIL_VAR is root's or not there, and DATIL_USER does not exist. */
static bool find_owner(const struct conf *conf, struct var_owner *ret, struct err *err)
{
    const char *var = conf_text(conf, CONF_DATIL_VAR), *name = conf_text(conf, CONF_DATIL_USER);
    struct stat st;
    if (stat(var, &st) == 0 && st.st_uid != 0) {
        const struct passwd *pw = getpwuid(st.st_uid);
        *ret = (struct var_owner){.uid = st.st_uid, .gid = pw ? pw->pw_gid : st.st_gid};
        snprintf(ret->name, sizeof ret->name, "%s", pw ? pw->pw_name : "");
        return true;
    }
    const struct passwd *pw = getpwnam(name);
    if (!pw)
        return err_set(err, ERR_NOT_FOUND,
                       "%s belongs to root and there is no user '%.60s' (DATIL_USER) to work as; "
                       "make one with: useradd --system %.60s",
                       var, name, name);
    if (pw->pw_uid == 0)
        return err_set(err, ERR_INVALID, "DATIL_USER: the programs do not work as root");
    *ret = (struct var_owner){.uid = pw->pw_uid, .gid = pw->pw_gid};
    snprintf(ret->name, sizeof ret->name, "%s", name);
    return true;
}

/* A change of the uid makes the kernel forget to tell us of our parent's death. */
static bool change_ids(uid_t uid, gid_t gid)
{
    int death_signal = 0;
    prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
    if (setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return false;
    prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0);
    return true;
}

static bool become_owner(const struct var_owner *o, struct err *err)
{
    int groups = *o->name ? initgroups(o->name, o->gid) : setgroups(0, NULL);
    if (groups != 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || !change_ids(o->uid, o->gid))
        return err_errno(err, errno, "becoming user %u", (unsigned)o->uid);
    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* /proc/self is ours again, as after an exec */
    return true;
}

static bool settle_service(const struct conf *conf, struct err *err)
{
    cap_set permitted;
    if (!permitted_caps(&permitted, err) || !write_caps(0, permitted, permitted, err))
        return false;
    cap_set kept = can_reach(conf) ? 0 : permitted & cap(CAP_DAC_READ_SEARCH);
    return keep_caps(kept, err);
}

bool identity_settle(const struct conf *conf, enum identity_kind kind, struct err *err)
{
    umask(IDENTITY_UMASK);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(err, errno, "no_new_privs");
    bool was_root = geteuid() == 0;
    struct var_owner owner;
    if (was_root && !find_owner(conf, &owner, err))
        return kind == IDENTITY_ADMIN && err->code == ERR_NOT_FOUND;
    if (was_root && !become_owner(&owner, err))
        return false;
    if (kind == IDENTITY_SERVICE)
        return settle_service(conf, err);
    cap_set permitted;
    return !was_root ||
           (permitted_caps(&permitted, err) &&
            keep_caps(permitted & (cap(CAP_DAC_OVERRIDE) | cap(CAP_DAC_READ_SEARCH)), err));
}

bool identity_drop_all(struct err *err)
{
    /* Where uid 65534 is not mapped or CAP_SETUID is missing, uid 0 stays, without capabilities. */
    if (geteuid() == 0 && setgroups(0, NULL) == 0 && !change_ids(NOBODY, NOBODY) &&
        errno != EPERM && errno != EINVAL)
        return err_errno(err, errno, "becoming nobody");
    return keep_caps(0, err);
}
