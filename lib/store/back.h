#ifndef STORE_BACK_H
#define STORE_BACK_H

#include "lib/store/store.h"

/*
 * back - what a back end of the store provides.  store.c has checked ids, kinds and days before
 * any of these is called, so they are safe to become parts of a path.  Meaning of each function:
 * store.h.
 */
struct store_back {
    const char *name;
    bool (*open)(const struct store_config *cfg, void **ret_self, struct err *err);
    void (*close)(void *self);
    void (*expect)(void *self, const char *installation_id);
    bool (*check)(void *self, struct err *err);
    void (*defer_sync)(void *self);
    bool (*sync)(void *self, struct err *err);
    bool (*put)(void *self, const char *id, const char *kind, struct str bytes, struct err *err);
    bool (*put_file)(void *self, const char *id, const char *kind, const char *path,
                     struct err *err);
    bool (*open_fd)(void *self, const char *id, const char *kind, int *ret_fd, struct err *err);
    bool (*exists)(void *self, const char *id, const char *kind);
    bool (*remove_one)(void *self, const char *id, const char *kind, struct err *err);
    bool (*remove)(void *self, const char *id, size_t *ret_removed, struct err *err);
    bool (*days)(void *self, struct arena *a, struct strs *ret, struct err *err);
    bool (*catalog)(void *self, const char *day, const char *kind,
                    bool (*each)(void *arg, const char *crash_id), void *arg, struct err *err);
    bool (*remove_day)(void *self, const char *day, struct err *err);
};

extern const struct store_back store_back_fs;

/* The shape of a crash id as far as paths need it: 36 characters of hex and dashes, digits last. */
enum { STORE_ID_LEN = 36, STORE_DAY_LEN = 8 };
bool store_id_ok(const char *id);
bool store_day_ok(const char *day);
void store_day_of(const char *id, char out[STORE_DAY_LEN + 1]);

#endif
