// See preflight.h: the table of checks, and how their findings are shown.
#include "cli/preflight.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/preflight-facts.h"
#include "cli/preflight-internal.h"
#include "cli/term.h"

static const struct check {
    const char *name;
    enum preflight_stage stage;
    void (*run)(struct preflight *p);
} checks[] = {
    {"AdvertiseAddress", PREFLIGHT_HOST, preflight_address},
    {"Hostname", PREFLIGHT_HOST, preflight_hostname},
    {"NameResolution", PREFLIGHT_HOST, preflight_names},
    {"Port", PREFLIGHT_HOST, preflight_ports},
    {"Swap", PREFLIGHT_HOST, preflight_swap},
    {"Mem", PREFLIGHT_HOST, preflight_memory},
    {"DiskSpace", PREFLIGHT_HOST, preflight_disk_space},
    {"Cgroups", PREFLIGHT_HOST, preflight_cgroups},
    {"Clock", PREFLIGHT_HOST, preflight_clock},
    {"Versions", PREFLIGHT_HOST, preflight_versions},
    {"Manifests", PREFLIGHT_HOST, preflight_manifests},
    {"EtcdData", PREFLIGHT_HOST, preflight_etcd_data},
    {"EtcdDisk", PREFLIGHT_HOST, preflight_etcd_disk},
    {"ClockSkew", PREFLIGHT_CLUSTER, preflight_clock_skew},
    {"ClusterVersions", PREFLIGHT_CLUSTER, preflight_cluster_versions},
};

static bool is_ignored(const struct string_list *ignored, const char *name)
{
    for (size_t i = 0; ignored && i < ignored->n; i++)
        if (facts_is_named(ignored->items[i], name))
            return true;
    return false;
}

void preflight_find(struct preflight *p, enum preflight_verdict verdict, const char *what,
                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = xvasprintf(format, args);
    va_end(args);
    struct preflight_finding *finding = LIST_APPEND(&p->report->findings);
    *finding = (struct preflight_finding){
        .name = what ? xasprintf("%s-%s", p->check, what) : xstrdup(p->check),
        .verdict = verdict,
        .text = text,
    };
    finding->ignored = verdict == PREFLIGHT_ERROR && is_ignored(p->ignored, finding->name);
    p->report->errors += verdict == PREFLIGHT_ERROR && !finding->ignored;
    p->report->warnings += verdict == PREFLIGHT_WARNING || finding->ignored;
}

bool preflight_is_there(const struct preflight *p, const struct pod *pod)
{
    _cleanup_free_ char *name = pod_short_name(pod);
    _cleanup_free_ char *file = xasprintf("%s/%s.yaml", p->subject->manifests, name);
    return access(file, F_OK) == 0;
}

const struct container *preflight_container(const struct preflight *p, const char *program,
                                            const struct pod **ret_pod)
{
    LIST_EACH (draft, &p->subject->pods->drafts)
        for (size_t i = 0; i < draft->pods.n; i++)
            LIST_EACH (container, &draft->pods.items[i]->spec.containers) {
                if (!container_runs(container, program))
                    continue;
                if (ret_pod)
                    *ret_pod = draft->pods.items[i];
                return container;
            }
    return NULL;
}

char *preflight_nearest(const char *path)
{
    char *at = xstrdup(path);
    while (access(at, F_OK) < 0) {
        char *slash = strrchr(at, '/');
        if (!slash || slash[1] == '\0')
            break;
        slash[slash == at] = '\0'; // "/a" becomes "/"
    }
    return at;
}

void preflight_run(const struct preflight_subject *subject, unsigned stages,
                   const struct string_list *ignored, struct preflight_report *report)
{
    struct preflight p = {
        .machine = subject->machine ? subject->machine : &preflight_this_machine,
        .subject = subject,
        .ignored = ignored,
        .report = report,
    };
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        if (!(checks[i].stage & stages))
            continue;
        p.check = checks[i].name;
        checks[i].run(&p);
    }
}

void preflight_report_free(struct preflight_report *report)
{
    LIST_EACH (finding, &report->findings) {
        free(finding->name);
        free(finding->text);
    }
    free(report->findings.items);
    *report = (struct preflight_report){0};
}

// ---- showing ----

static const struct {
    const char *word, *label;
    enum term_style style;
} verdicts[] = {
    [PREFLIGHT_GOOD] = {"good", "ok", TERM_GREEN},
    [PREFLIGHT_NOT_CHECKED] = {"not-checked", "-", TERM_DIM},
    [PREFLIGHT_WARNING] = {"warning", "warning", TERM_YELLOW},
    [PREFLIGHT_ERROR] = {"error", "error", TERM_RED},
};

static enum preflight_verdict shown(const struct preflight_finding *finding)
{
    return finding->ignored ? PREFLIGHT_WARNING : finding->verdict;
}

void preflight_print(const struct preflight_report *report, bool all, FILE *out)
{
    bool color = term_has_color(out);
    LIST_EACH (finding, &report->findings) {
        enum preflight_verdict verdict = shown(finding);
        if (!all && verdict < PREFLIGHT_WARNING)
            continue;
        _cleanup_free_ char *text = term_safe(finding->text);
        fprintf(out, "  %s%-8s%s %s: %s%s\n", term_begin(verdicts[verdict].style, color),
                verdicts[verdict].label, term_end(verdicts[verdict].style, color), finding->name,
                finding->ignored ? "(ignored) " : "", text);
    }
}

void preflight_print_json(const struct preflight_report *report, FILE *out)
{
    json_t *items = json_array();
    LIST_EACH (finding, &report->findings)
        json_array_append_new(items,
                              json_pack("{s:s, s:s, s:b, s:s}", "name", finding->name, "verdict",
                                        verdicts[finding->verdict].word, "ignored",
                                        (int)finding->ignored, "text", finding->text));
    json_t *all = json_pack("{s:o, s:I, s:I}", "items", items, "errors", (json_int_t)report->errors,
                            "warnings", (json_int_t)report->warnings);
    json_dumpf(all, out, JSON_INDENT(4));
    fputc('\n', out);
    json_decref(all);
}

static bool is_known(const char *name, size_t len)
{
    // kubeadm's others: harmless here, and in people's scripts.
    static const char *const others[] = {"all",
                                         "NumCPU",
                                         "IsPrivilegedUser",
                                         "CRI",
                                         "Service",
                                         "SystemVerification",
                                         "DirAvailable",
                                         "FileAvailable",
                                         "FileExisting",
                                         "FileContent",
                                         "KubeletVersion",
                                         "ImagePull",
                                         "HTTPProxy",
                                         "HTTPProxyCIDR",
                                         "ExternalEtcdVersion",
                                         "IsDockerSystemdCheck"};
    size_t base = strcspn(name, "-,");
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
        if (strlen(checks[i].name) == base && strncasecmp(name, checks[i].name, base) == 0)
            return true;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (strlen(others[i]) == base && strncasecmp(name, others[i], base) == 0)
            return true;
    return len == 0;
}

char *preflight_unknown_name(const struct string_list *ignored)
{
    for (size_t i = 0; i < ignored->n; i++)
        for (const char *p = ignored->items[i]; *p; p += *p == ',') {
            size_t len = strcspn(p, ",");
            if (!is_known(p, len))
                return xstrndup(p, len);
            p += len;
        }
    return NULL;
}
