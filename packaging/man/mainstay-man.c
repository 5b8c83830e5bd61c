// Writes the manual pages: the templates of this directory, with what the program's tables know in
// its place, and a page for each subcommand. A program of the build only; it is not installed.
//
// Usage: mainstay-man PREFIX TEMPLATES TARGET
//   PREFIX     where the programs are installed to; @PREFIX@ in the templates
//   TEMPLATES  this directory, with NAME.SECTION.in in it; the journal's catalogue is beside it
//   TARGET     the directory that gets manSECTION/NAME.SECTION
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "packaging/man/inserts.h"
#include "packaging/man/roff.h"

enum { TEMPLATE_MOST = 1 << 20 };

struct pages {
    const char *prefix, *templates, *target;
};

static const struct insert {
    const char *name;
    void (*write)(struct buffer *out, const char *templates);
} inserts[] = {
    {"commands", insert_commands},
    {"exit-status", insert_exit_status},
    {"daemon-flags", insert_daemon_flags},
    {"config-honoured", insert_config_honoured},
    {"config-noted", insert_config_noted},
    {"config-refused", insert_config_refused},
    {"events", insert_events},
    {"podmaster-flags", insert_podmaster_flags},
    {"manifest-fields", insert_manifest_fields},
};

static void write_page(const struct pages *pages, const char *name, char section,
                       const struct buffer *page)
{
    _cleanup_free_ char *path = xasprintf("%s/man%c/%s.%c", pages->target, section, name, section);
    int r = fs_mkdir_parents_of(AT_FDCWD, path);
    if (r >= 0)
        r = fs_write_atomic(AT_FDCWD, path, page->data, page->len, 0644, 0);
    if (r < 0) {
        fprintf(stderr, "mainstay-man: %s: %s\n", path, strerror(-r));
        exit(EXIT_FAILURE);
    }
}

static void add_insert(struct buffer *out, const struct pages *pages, const char *template,
                       const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(inserts); i++)
        if (str_equal(inserts[i].name, name)) {
            inserts[i].write(out, pages->templates);
            return;
        }
    fprintf(stderr, "mainstay-man: %s: there is no insert \"%s\"\n", template, name);
    exit(EXIT_FAILURE);
}

// A line of a template with @PREFIX@ and @VERSION@ in it.
static void add_line(struct buffer *out, const struct pages *pages, const char *line)
{
    const struct {
        const char *mark, *value;
    } marks[] = {{"@PREFIX@", pages->prefix}, {"@VERSION@", MAINSTAY_VERSION}};
    while (*line) {
        size_t i = 0;
        while (i < ARRAY_SIZE(marks) && !str_starts_with(line, marks[i].mark))
            i++;
        if (i < ARRAY_SIZE(marks)) {
            buffer_add_str(out, marks[i].value);
            line += strlen(marks[i].mark);
        } else {
            buffer_add_char(out, *line++);
        }
    }
    buffer_add_char(out, '\n');
}

static void write_template(const struct pages *pages, const char *file)
{
    static const char insert[] = ".\\\" INSERT ";
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY, page = BUFFER_EMPTY;
    _cleanup_free_ char *path = path_join(pages->templates, file);
    int r = fs_read_file(AT_FDCWD, path, TEMPLATE_MOST, &text);
    if (r < 0) {
        fprintf(stderr, "mainstay-man: %s: %s\n", path, strerror(-r));
        exit(EXIT_FAILURE);
    }
    for (char *rest = text.data, *line; (line = strsep(&rest, "\n")) && (rest || *line);) {
        if (str_starts_with(line, insert))
            add_insert(&page, pages, file, line + strlen(insert));
        else
            add_line(&page, pages, line);
    }
    _cleanup_free_ char *name = xstrndup(file, strlen(file) - strlen(".N.in"));
    write_page(pages, name, file[strlen(name) + 1], &page);
}

static bool is_template(const char *file)
{
    return strlen(file) > strlen(".N.in") && str_ends_with(file, ".in") && file[0] != '.';
}

static int write_templates(const struct pages *pages)
{
    DIR *directory = opendir(pages->templates);
    int n = 0;
    if (!directory) {
        perror(pages->templates);
        exit(EXIT_FAILURE);
    }
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (is_template(entry->d_name)) {
            write_template(pages, entry->d_name);
            n++;
        }
    closedir(directory);
    return n;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "Usage: mainstay-man PREFIX TEMPLATES TARGET\n");
        return 2;
    }
    struct pages pages = {argv[1], argv[2], argv[3]};
    for (const struct command *const *c = commands_all(); *c; c++) {
        if (!(*c)->group)
            continue;
        _cleanup_buffer_ struct buffer page = BUFFER_EMPTY;
        _cleanup_free_ char *name = xasprintf("mainstay-%s", (*c)->name);
        insert_command_page(&page, *c);
        write_page(&pages, name, '1', &page);
    }
    return write_templates(&pages) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
