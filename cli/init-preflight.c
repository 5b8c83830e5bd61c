// See init-preflight.h.
#include "cli/init-preflight.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/client.h"
#include "cli/field.h"

#define USUAL_ROOT "/var/lib/mainstay"

const char *const preflight_formats[] = {"text", "json", NULL};

int preflight_options_check(const struct preflight_options *options, bool only, struct error *err)
{
    _cleanup_free_ char *unknown = preflight_unknown_name(&options->ignored);
    if (options->output && !only)
        return error_set(err, EINVAL, "--output goes with --check");
    if (unknown)
        fprintf(stderr, "warning: --ignore-preflight-errors: no check is called \"%s\"\n", unknown);
    return 0;
}

static bool is_same_directory(const char *a, const char *b)
{
    char real_a[PATH_MAX], real_b[PATH_MAX];
    // One that is not made yet has no real path.
    return str_equal(a, b) ||
           (realpath(a, real_a) && realpath(b, real_b) && str_equal(real_a, real_b));
}

void agent_see(const char *socket, const char *manifests, struct agent_seen *ret)
{
    _cleanup_client_ struct client *client = client_new(socket);
    json_t *status = NULL;
    ret->answers = client_get(client, "/mainstay/v1/status", &status, NULL) == 0;
    const char *root = field_text(status, "directories.root");
    ret->root = xstrdup(root ? root : USUAL_ROOT);
    ret->is_ours =
        ret->answers &&
        is_same_directory(field_text_or_empty(status, "directories.manifests"), manifests);
    json_decref(status);
}

void agent_seen_free(struct agent_seen *seen)
{
    free(seen->root);
}

static int show_all(const struct preflight_report *report, const struct preflight_options *options)
{
    if (str_equal(options->output, "json"))
        preflight_print_json(report, stdout);
    else {
        preflight_print(report, true, stdout);
        printf("\n%zu %s, %zu %s%s\n", report->errors, report->errors == 1 ? "error" : "errors",
               report->warnings, report->warnings == 1 ? "warning" : "warnings",
               report->errors > 0 ? "" : ": nothing speaks against it");
    }
    return report->errors > 0 ? CLI_NO : CLI_DONE;
}

int preflight_first(const struct preflight_subject *subject, unsigned stages,
                    const struct preflight_options *options, bool only, bool harmless)
{
    _cleanup_preflight_report_ struct preflight_report report = {0};
    static char all[] = "all";
    char *everything[] = {all};
    const struct string_list ignore_all = {.items = everything, .n = 1};
    preflight_run(subject, stages, harmless && !only ? &ignore_all : &options->ignored, &report);
    if (only)
        return show_all(&report, options);
    if (report.errors + report.warnings > 0) {
        fprintf(stderr, "Before it begins:\n");
        preflight_print(&report, false, stderr);
    }
    if (report.errors == 0)
        return CLI_DONE;
    fprintf(stderr, "Nothing was changed. Correct that, or give --ignore-preflight-errors with the "
                    "names.\n");
    return CLI_NO;
}
