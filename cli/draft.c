// See draft.h.
#include "cli/draft.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "cli/term.h"

char *draft_host_name(void)
{
    char name[256] = "localhost";
    gethostname(name, sizeof(name) - 1);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return xstrdup(name);
}

bool draft_is_manifest_name(const char *name)
{
    return name[0] != '.' && (str_ends_with(name, ".yaml") || str_ends_with(name, ".yml") ||
                              str_ends_with(name, ".json"));
}

// Standard input may be a pipe, which fs_read_fd() takes for no file.
static int read_stdin(struct buffer *out)
{
    for (;;) {
        ssize_t n = read(STDIN_FILENO, buffer_reserve(out, 65536), 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (out->len > PODSPEC_SIZE_MAX)
            return -EFBIG;
    }
}

void draft_judge(struct draft *draft, const char *node)
{
    const struct podspec_node host = {.name = node, .source = "file"};
    int r = podspec_parse(draft->file, buffer_str(&draft->content), draft->content.len,
                          &draft->pods, &draft->diags);
    draft->valid = r == 0;
    for (size_t i = 0; r == 0 && i < draft->pods.n; i++)
        if (podspec_make_static(draft->pods.items[i], &host, &draft->diags) < 0)
            draft->valid = false;
}

int draft_load(const char *file, const char *node, struct draft *draft, struct error *err)
{
    bool is_stdin = str_equal(file, "-");
    draft->file = xstrdup(is_stdin ? "<stdin>" : file);
    int r = is_stdin ? read_stdin(&draft->content)
                     : fs_read_file(AT_FDCWD, file, PODSPEC_SIZE_MAX, &draft->content);
    if (r == -EFBIG) {
        diag_add(&draft->diags, DIAG_ERROR, (struct diag_place){.file = draft->file},
                 "is larger than 10 MiB; the agent does not read it");
        return 0;
    }
    if (r == -EINVAL)
        return error_set(err, EINVAL, "%s: is not a regular file", draft->file);
    if (r < 0)
        return error_errno(err, r, "%s: cannot read it", draft->file);
    draft_judge(draft, node);
    return 0;
}

void draft_free(struct draft *draft)
{
    free(draft->file);
    buffer_free(&draft->content);
    pod_list_free(&draft->pods);
    diag_list_free(&draft->diags);
    *draft = (struct draft){0};
}

void draft_print_findings(const struct draft *draft, FILE *out)
{
    bool color = term_has_color(out);
    for (size_t i = 0; i < draft->diags.n; i++) {
        const struct diag *d = &draft->diags.items[i];
        enum term_style style = d->severity == DIAG_ERROR ? TERM_RED : TERM_YELLOW;
        _cleanup_buffer_ struct buffer line = BUFFER_EMPTY;
        diag_format(d, &line);
        _cleanup_free_ char *safe = term_safe(buffer_str(&line));
        fprintf(out, "%s%s%s\n", term_begin(style, color), safe, term_end(style, color));
    }
    if (draft->diags.dropped > 0)
        fprintf(out, "%s: and %zu more findings\n", draft->file, draft->diags.dropped);
}
