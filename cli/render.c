// `mainstay render`: the control plane's manifests on stdout, nothing written anywhere.
#include <stdio.h>

#include "base/buffer.h"
#include "cli/commands.h"
#include "cli/control-plane-options.h"

struct render_options {
    struct common_options common;
    struct control_plane_options plane;
    bool all;
};

static const struct option render_option_rows[] = {
    OPT_BOOL(render_options, all, .name = "all", .help = "All four components"),
    CONTROL_PLANE_OPTIONS(render_options),
    COMMON_OPTIONS(render_options),
};

static const char *const render_words[] = {"etcd", "kube-apiserver", "kube-controller-manager",
                                           "kube-scheduler", NULL};

const struct command command_render = {
    .name = "render",
    .group = "The control plane",
    .summary = "Print the manifests of a control plane's components",
    .usage = "COMPONENT...|--all [flags]",
    .description = "Prints the manifests of etcd, kube-apiserver, kube-controller-manager and\n"
                   "kube-scheduler in kubeadm's shape, as `mainstay init` writes them.",
    .examples =
        "  # What would change in a manifest with another port?\n"
        "  mainstay render kube-apiserver --apiserver-port=7443 > /tmp/kube-apiserver.yaml\n"
        "  mainstay diff /tmp/kube-apiserver.yaml",
    .options = render_option_rows,
    .n_options = ARRAY_SIZE(render_option_rows),
    .argument = ARGUMENT_WORDS,
    .words = render_words,
    .run = cmd_render,
};

static int render_one(const struct control_plane *plane, enum control_plane_component component,
                      struct buffer *out, struct error *err)
{
    if (out->len > 0)
        buffer_add_str(out, "---\n");
    return control_plane_render(plane, component, out, err);
}

static int render(struct render_options *options, const struct options_rest *rest,
                  struct buffer *out, struct error *err)
{
    struct control_plane plane;
    int code = control_plane_options_resolve(&options->plane, &plane, err);
    for (int i = 0; i < COMPONENTS && options->all && code == 0; i++)
        code = render_one(&plane, (enum control_plane_component)i, out, err);
    for (size_t i = 0; i < rest->n && code == 0; i++) {
        enum control_plane_component component = COMPONENT_ETCD;
        code = control_plane_component_parse(rest->arguments[i], &component, err);
        if (code == 0)
            code = render_one(&plane, component, out, err);
    }
    return code;
}

static int render_and_print(struct render_options *options, const struct options_rest *rest)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    if ((rest->n > 0) == options->all)
        return command_usage_error(&command_render, "name the components, or give --all");
    if (render(options, rest, &out, &err) < 0)
        return command_usage_error(&command_render, "%s", error_message(&err));
    if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0) {
        fprintf(stderr, "error: cannot write: %m\n");
        return CLI_NO;
    }
    return CLI_DONE;
}

int cmd_render(int argc, char **argv)
{
    struct render_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status = CLI_DONE;
    if (command_parse(&command_render, argc, argv, &options, &rest, &status))
        status = render_and_print(&options, &rest);
    control_plane_options_free(&options.plane);
    options_free(render_option_rows, ARRAY_SIZE(render_option_rows), &options);
    return status;
}
