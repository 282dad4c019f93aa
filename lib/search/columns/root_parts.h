#ifndef SEARCH_COLUMNS_ROOT_PARTS_H
#define SEARCH_COLUMNS_ROOT_PARTS_H

#include "lib/search/columns/part.h"

/*
 * root_parts - the index as one process has it open, and what a writer does with its partitions.
 * root.h opens, locks and refreshes it; recover.h and mend.h put it right before anybody works.
 */
struct root {
    char *dir;
    const struct field_table *fields; /* borrowed */
    bool is_writable;
    int lock_fd;
    struct mfile head;
    struct root_head *h;           /* NULL: reader of an index that does not exist (any more) */
    bool was_there;                /* there has been a head since root_open */
    struct part *open;             /* whose seals are open, till root_unlock */
    uint64_t stamp;                /* of the table of partitions as opened */
    struct part *parts[PARTS_MAX]; /* parallel to the table; NULL: none, not opened or damaged */
    bool is_damaged[PARTS_MAX];    /* could not be read */
    size_t part_count;
    int64_t retry_ms;     /* when to look at damaged ones again */
    uint64_t parts_epoch; /* changes when a struct part is closed or opened */
    uint32_t looks;       /* for a crash, by its id (columns.c) */
};

/* Closes parts[i]; nothing on disk changes. */
void root_close_part(struct root *r, size_t i);
struct part *root_part(struct root *r, int32_t week); /* NULL: none */
/* Between two searches or commits: unpacked texts go if they have become much. */
void root_forget_texts(struct root *r);

/* For writers, under the lock. */
/* Before the first store into the head of a partition: ERR_DAMAGED if it is damaged. */
bool root_open_part(struct root *r, struct part *p, struct err *err);
/* The seal of a partition that is open already is closed with the lock. */
void root_close_later(struct root *r, struct part *p);
bool root_make_part(struct root *r, int32_t week, struct part **ret, struct err *err);
/* The entry of this week in the table, else one that is free, else PARTS_MAX or the count. */
uint32_t root_find_entry(const struct root *r, int32_t week);
/* Takes a damaged partition out of use: its folder moves to DIR/aside/, the loss is counted. */
bool root_set_aside(struct root *r, size_t index, const char *why, struct err *err);
/* Of a partition that is out of use. */
bool root_remove_folder(const char *path, struct err *err);
/* Moves DIR/name to DIR/aside/; a missing one is fine. */
bool root_move_aside(const char *dir, const char *name, struct err *err);

#endif
