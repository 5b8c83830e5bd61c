// Small things that every file uses: cleanup attributes, ownership transfer, array sizes.
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _printf_(fmt, first) __attribute__((format(printf, fmt, first)))
#define _cleanup_(fn)        __attribute__((cleanup(fn)))
#define _unused_             __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
// Each argument is evaluated once; the counter keeps the names of nested calls apart.
#define MIN(a, b)                 PICK(a, b, <, __COUNTER__)
#define MAX(a, b)                 PICK(a, b, >, __COUNTER__)
#define PICK(a, b, than, counter) PICK_NAMED(a, b, than, counter)
#define PICK_NAMED(a, b, than, n)                                                                  \
    ({                                                                                             \
        __typeof__(a) _a##n = (a);                                                                 \
        __typeof__(b) _b##n = (b);                                                                 \
        _a##n than _b##n ? _a##n : _b##n;                                                          \
    })

// Hands a pointer (or descriptor) on and leaves NULL (or -1) behind, so that a cleanup attribute
// on the variable no longer frees it.
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) _taken = (p);                                                                \
        (p) = NULL;                                                                                \
        _taken;                                                                                    \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int _taken = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        _taken;                                                                                    \
    })

// A list that owns its items: contiguous, growing by LIST_APPEND. The layout {pointer, size_t} is
// the same for every element type, which is what the pod spec's table relies on.
#define LIST_OF(type)                                                                              \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t n;                                                                                  \
    }
#define LIST_APPEND(list)                                                                          \
    ({                                                                                             \
        (list)->items = xreallocarray((list)->items, (list)->n + 1, sizeof((list)->items[0]));     \
        memset(&(list)->items[(list)->n], 0, sizeof((list)->items[0]));                            \
        &(list)->items[(list)->n++];                                                               \
    })
#define LIST_EACH(item, list)                                                                      \
    for (__typeof__((list)->items[0]) *item = (list)->items;                                       \
         item && item < (list)->items + (list)->n; item++)

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}

#define _cleanup_free_   _cleanup_(cleanup_free)
#define _cleanup_close_  _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

// Defines cleanup_NAME(T **) around a free function, for use as _cleanup_(cleanup_NAME).
#define DEFINE_CLEANUP(type, free_fn)                                                              \
    static inline void cleanup_##free_fn(type *p)                                                  \
    {                                                                                              \
        if (*p)                                                                                    \
            free_fn(*p);                                                                           \
    }
