// Questions by a command in the container, run by its shim with the container's credentials and
// namespaces; see probe-question.h.
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/time-format.h"
#include "podspec/expand.h"
#include "supervisor/probe-question.h"

struct probe_exec {
    struct probe_question question;
    struct shim_exec *exec;
};

static void exec_free(struct probe_question *question)
{
    struct probe_exec *exec = (struct probe_exec *)question;
    shim_exec_cancel(exec->exec);
    free(exec);
}

// What went wrong; `output` is what the command wrote.
static char *describe(int status, const char *output, size_t len)
{
    char *text = probe_text(output, len);
    if (*text)
        return text;
    free(text);
    if (WIFSIGNALED(status))
        return xasprintf("the command was ended by signal %d", WTERMSIG(status));
    return xasprintf("the command exited with status %d", WEXITSTATUS(status));
}

static void on_exec(void *userdata, int error_code, int status, const char *output, size_t len)
{
    struct probe_exec *exec = userdata;
    const struct probe_question *question = &exec->question;
    char limit[DURATION_SIZE];
    exec->exec = NULL;
    enum probe_outcome outcome = PROBE_PASSED;
    _cleanup_free_ char *message = NULL;
    if (error_code == -ETIMEDOUT) {
        outcome = PROBE_FAILED;
        message = xasprintf("the command did not end within %s and was killed",
                            duration_format_go(question->limit_usec * NSEC_PER_USEC, limit));
    } else if (error_code < 0) {
        outcome = PROBE_ERRORED;
        // The container has ended: that is told as what it is, not as a probe's trouble.
        if (error_code != -ESRCH)
            message = len > 0 ? probe_text(output, len) : xstrdup(strerror(-error_code));
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        outcome = PROBE_FAILED;
        message = describe(status, output, len);
    }
    question->answered(question->userdata, outcome, message);
}

// References are expanded from values that stand in the manifest (K/container/helpers.go:
// ExpandContainerCommandOnlyStatic).
static void expand_command(const struct container *container, const struct exec_action *action,
                           struct string_list *ret)
{
    struct string_map vars = {0};
    LIST_EACH (env, &container->env)
        if (env->name && !env->valueFrom)
            string_map_set(&vars, env->name, env->value ? env->value : "");
    LIST_EACH (word, &action->command)
        string_list_add_owned(ret, expand_references(*word, &vars));
    string_map_free(&vars);
}

int probe_exec_ask(const struct probe_target *target, const struct exec_action *action,
                   const struct probe_question *question, struct probe_question **ret,
                   struct error *err)
{
    _cleanup_string_list_ struct string_list argv = {0};
    struct probe_exec *exec = xcalloc(1, sizeof(*exec));
    exec->question = *question;
    exec->question.free = exec_free;
    expand_command(target->container, action, &argv);
    int r =
        shim_link_exec(target->link, &argv, question->limit_usec, on_exec, exec, &exec->exec, err);
    if (r < 0) {
        free(exec);
        return r;
    }
    *ret = &exec->question;
    return 0;
}
