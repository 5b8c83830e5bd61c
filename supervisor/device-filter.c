// See device-filter.h.
#include "supervisor/device-filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"

struct device_filter {
    int program;
};

enum { ANY = -1, MINORS_MAX = 5 };

// The numbers of null, zero, full, random, urandom; tty, console, ptmx; pts.
static const struct {
    int major;
    int minors[MINORS_MAX]; // ANY ends the list, and alone means every one
} allowed[] = {
    {1, {3, 5, 7, 8, 9}},
    {5, {0, 1, 2, ANY}},
    {136, {ANY}},
};

// ---- the program ----

#define LOAD(to, member)                                                                           \
    (struct bpf_insn)                                                                              \
    {                                                                                              \
        .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (to), .src_reg = BPF_REG_1,                  \
        .off = offsetof(struct bpf_cgroup_dev_ctx, member)                                         \
    }
#define COPY(to, from)                                                                             \
    (struct bpf_insn)                                                                              \
    {                                                                                              \
        .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from)                    \
    }
#define CALCULATE(op, to, number)                                                                  \
    (struct bpf_insn)                                                                              \
    {                                                                                              \
        .code = BPF_ALU64 | (op) | BPF_K, .dst_reg = (to), .imm = (number)                         \
    }
#define SKIP_UNLESS(reg, number, n)                                                                \
    (struct bpf_insn)                                                                              \
    {                                                                                              \
        .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = (reg), .off = (n), .imm = (number)           \
    }
#define EXIT                                                                                       \
    (struct bpf_insn)                                                                              \
    {                                                                                              \
        .code = BPF_JMP | BPF_EXIT                                                                 \
    }

enum { TYPE = BPF_REG_2, ACCESS = BPF_REG_3, MAJOR = BPF_REG_4, MINOR = BPF_REG_5 };

struct text {
    struct bpf_insn items[64];
    unsigned n;
};

static void add(struct text *text, struct bpf_insn insn)
{
    text->items[text->n++] = insn;
}

static void leave(struct text *text, int verdict)
{
    add(text, CALCULATE(BPF_MOV, BPF_REG_0, verdict));
    add(text, EXIT);
}

static void add_device(struct text *text, int major, int minor)
{
    add(text, SKIP_UNLESS(MAJOR, major, minor == ANY ? 2 : 3));
    if (minor != ANY)
        add(text, SKIP_UNLESS(MINOR, minor, 2));
    leave(text, 1);
}

static void write_program(struct text *text)
{
    add(text, LOAD(TYPE, access_type));
    add(text, LOAD(MAJOR, major));
    add(text, LOAD(MINOR, minor));
    add(text, COPY(ACCESS, TYPE));
    add(text, CALCULATE(BPF_RSH, ACCESS, 16));
    add(text, CALCULATE(BPF_AND, TYPE, 0xffff));
    // A node may be made; to open it is another matter.
    add(text, SKIP_UNLESS(ACCESS, BPF_DEVCG_ACC_MKNOD, 2));
    leave(text, 1);
    add(text, (struct bpf_insn){.code = BPF_JMP | BPF_JEQ | BPF_K,
                                .dst_reg = TYPE,
                                .off = 2,
                                .imm = BPF_DEVCG_DEV_CHAR});
    leave(text, 0);
    for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
        for (size_t k = 0; k < MINORS_MAX; k++) {
            if (k > 0 && allowed[i].minors[k] == ANY)
                break;
            add_device(text, allowed[i].major, allowed[i].minors[k]);
            if (allowed[i].minors[k] == ANY)
                break;
        }
    leave(text, 0);
}

bool device_filter_allows(const struct stat *device)
{
    for (size_t i = 0; i < ARRAY_SIZE(allowed) && S_ISCHR(device->st_mode); i++)
        for (size_t k = 0; allowed[i].major == (int)major(device->st_rdev) && k < MINORS_MAX; k++) {
            int number = allowed[i].minors[k];
            if (number == ANY)
                return k == 0;
            if (number == (int)minor(device->st_rdev))
                return true;
        }
    return false;
}

static int bpf(int command, union bpf_attr *attr)
{
    long result = syscall(SYS_bpf, command, attr, sizeof(*attr));
    return result < 0 ? -errno : (int)result;
}

int device_filter_new(struct device_filter **ret, struct error *err)
{
    struct text text = {.n = 0};
    union bpf_attr attr = {0};
    write_program(&text);
    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insns = (uint64_t)(uintptr_t)text.items;
    attr.insn_cnt = text.n;
    attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
    int fd = bpf(BPF_PROG_LOAD, &attr);
    if (fd < 0)
        return error_errno(err, fd, "cannot load the filter of devices");
    struct device_filter *filter = xcalloc(1, sizeof(*filter));
    filter->program = fd; // close-on-exec from birth
    *ret = filter;
    return 0;
}

void device_filter_free(struct device_filter *filter)
{
    if (filter)
        close(filter->program);
    free(filter);
}

int device_filter_attach(const struct device_filter *filter, const char *cgroup_dir,
                         struct error *err)
{
    union bpf_attr attr = {0};
    _cleanup_close_ int dir = open(cgroup_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_errno(err, errno, "%s", cgroup_dir);
    attr.target_fd = (uint32_t)dir;
    attr.attach_bpf_fd = (uint32_t)filter->program;
    attr.attach_type = BPF_CGROUP_DEVICE;
    // Beside those of the cgroups above, which go on counting.
    attr.attach_flags = BPF_F_ALLOW_MULTI;
    int code = bpf(BPF_PROG_ATTACH, &attr);
    return code < 0
               ? error_errno(err, code, "cannot attach the filter of devices to %s", cgroup_dir)
               : 0;
}
