// See node-manifests.h.
#include "cli/node-manifests.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"

static int is_manifest(const struct dirent *entry)
{
    return draft_is_manifest_name(entry->d_name);
}

static void add_file(struct node_manifests *m, const char *file, const char *node)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct draft *draft = LIST_APPEND(&m->drafts);
    if (draft_load(file, node, draft, &err) < 0)
        string_list_add(&m->passed_over, error_message(&err));
    else if (!draft->valid)
        string_list_add_owned(&m->passed_over,
                              xasprintf("%s: is no good manifest (see `mainstay validate`)", file));
    else
        return;
    draft_free(draft);
    m->drafts.n--;
}

int node_manifests_load(const char *path, const char *node, struct node_manifests *ret,
                        struct error *err)
{
    _cleanup_free_ char *host = draft_host_name();
    struct dirent **entries;
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "%s cannot be read", path);
    if (!S_ISDIR(st.st_mode)) {
        add_file(ret, path, node ? node : host);
        return 0;
    }
    int n = scandir(path, &entries, is_manifest, alphasort);
    if (n < 0)
        return error_errno(err, errno, "%s cannot be read", path);
    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *file = path_join(path, entries[i]->d_name);
        add_file(ret, file, node ? node : host);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

void node_manifests_add(struct node_manifests *manifests, const char *file,
                        const struct buffer *text, const char *node)
{
    struct draft *draft = LIST_APPEND(&manifests->drafts);
    draft->file = xstrdup(file);
    buffer_add(&draft->content, text->data, text->len);
    draft_judge(draft, node);
    if (draft->valid)
        return;
    string_list_add(&manifests->passed_over, file);
    draft_free(draft);
    manifests->drafts.n--;
}

void node_manifests_free(struct node_manifests *manifests)
{
    LIST_EACH (draft, &manifests->drafts)
        draft_free(draft);
    free(manifests->drafts.items);
    string_list_free(&manifests->passed_over);
    *manifests = (struct node_manifests){0};
}

void node_manifests_each(const struct node_manifests *manifests, node_container_fn fn,
                         void *userdata)
{
    LIST_EACH (draft, &manifests->drafts)
        for (size_t i = 0; i < draft->pods.n; i++)
            LIST_EACH (container, &draft->pods.items[i]->spec.containers)
                fn(userdata, draft->pods.items[i], container);
}

bool container_runs(const struct container *container, const char *program)
{
    const struct string_list *words =
        container->command.n > 0 ? &container->command : &container->args;
    return words->n > 0 && str_equal(path_base(words->items[0]), program);
}

static const char *flag_in(const struct string_list *words, const char *name)
{
    const char *found = NULL;
    size_t len = strlen(name);
    for (size_t i = 0; i < words->n; i++) {
        const char *word = words->items[i];
        size_t dashes = strspn(word, "-");
        if (dashes < 1 || dashes > 2 || strncmp(word + dashes, name, len) != 0)
            continue;
        if (word[dashes + len] == '=')
            found = word + dashes + len + 1;
        else if (!word[dashes + len] && i + 1 < words->n)
            found = words->items[i + 1];
    }
    return found;
}

const char *container_flag(const struct container *container, const char *name)
{
    const char *value = flag_in(&container->args, name);
    return value ? value : flag_in(&container->command, name);
}

static const char *host_path_of(const struct pod *pod, const char *volume_name)
{
    LIST_EACH (volume, &pod->spec.volumes)
        if (str_equal(volume->name, volume_name))
            return volume->hostPath ? volume->hostPath->path : NULL;
    return NULL;
}

// What of `path` lies below `mount`: "/x", or "" for the mount itself; NULL where it is elsewhere.
static const char *below(const char *path, const char *mount)
{
    size_t len = strlen(mount);
    while (len > 0 && mount[len - 1] == '/')
        len--;
    bool inside = strncmp(path, mount, len) == 0 && (path[len] == '/' || path[len] == '\0');
    return inside ? path + len : NULL;
}

char *container_host_path(const struct pod *pod, const struct container *container,
                          const char *path)
{
    const struct volume_mount *best = NULL;
    LIST_EACH (mount, &container->volumeMounts)
        if (below(path, mount->mountPath) &&
            (!best || strlen(mount->mountPath) > strlen(best->mountPath)))
            best = mount;
    const char *host = best ? host_path_of(pod, best->name) : NULL;
    if (!host)
        return xstrdup(path);
    _cleanup_free_ char *base =
        str_empty(best->subPath) ? xstrdup(host) : path_join(host, best->subPath);
    return xasprintf("%s%s", base, below(path, best->mountPath));
}

char *pod_short_name(const struct pod *pod)
{
    const char *name = pod->metadata.name;
    _cleanup_free_ char *suffix = xasprintf("-%s", pod->spec.nodeName ? pod->spec.nodeName : "");
    size_t len = strlen(name);
    return xstrndup(name, str_ends_with(name, suffix) ? len - strlen(suffix) : len);
}
