// What the tests of the configuration share: a host, a file, and what was read from them.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/config-internal.h"

static const struct config_host root = {
    .privileged = true, .host_name = "Node1.Example.org", .home = "/root"};

struct fixture {
    char *dir, *file;
    struct config config;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    char template[] = "/tmp/mainstay-config-XXXXXX";
    assert_non_null(mkdtemp(template));
    f->dir = xstrdup(template);
    f->file = path_join(f->dir, "config.yaml");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    config_free(&f->config);
    error_clear(&f->err);
    fs_remove_tree(AT_FDCWD, f->dir);
    free(f->dir);
    free(f->file);
    free(f);
    return 0;
}
