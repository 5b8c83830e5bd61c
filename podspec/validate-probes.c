// The rules of probes and lifecycle hooks.
#include "base/string-list.h"
#include "podspec/checks.h"
#include "podspec/validation.h"

enum { PORT_MAX = 65535 };

static bool has_port(const struct container *container, const char *name)
{
    LIST_EACH (port, &container->ports)
        if (str_equal(port->name, name))
            return true;
    return false;
}

static void validate_port(struct validation *v, const struct container *container,
                          const struct int_or_string *port)
{
    const char *wrong = NULL;

    if (!port->is_set)
        return;
    if (port->is_string)
        wrong = check_port_name(port->string);
    else if (port->number < 1 || port->number > PORT_MAX)
        wrong = "must be between 1 and 65535";
    if (wrong)
        validation_error(v, ".port", "%s", wrong);
    else if (port->is_string && !has_port(container, port->string))
        validation_warning(v, ".port", "the container has no port named \"%s\"", port->string);
}

struct actions {
    const struct exec_action *exec;
    const struct http_get_action *httpGet;
    const struct tcp_socket_action *tcpSocket;
    const struct grpc_action *grpc;   // of probes
    const struct sleep_action *sleep; // of hooks
    const char *known;                // their names, for people
};

static void validate_actions(struct validation *v, const struct container *container,
                             const struct actions *actions)
{
    const struct {
        const char *field;
        bool there;
    } all[] = {
        {".exec", actions->exec},           {".httpGet", actions->httpGet},
        {".tcpSocket", actions->tcpSocket}, {".grpc", actions->grpc},
        {".sleep", actions->sleep},
    };
    const char *first = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i].there && first)
            validation_error(v, all[i].field, "there is one action only, and this one has %s",
                             first);
        else if (all[i].there)
            first = all[i].field + 1;
    }
    if (!first)
        validation_error(v, "", "must say what to do: %s", actions->known);
    if (actions->httpGet) {
        size_t mark = validation_enter(v, ".httpGet");
        validate_port(v, container, &actions->httpGet->port);
        validation_leave(v, mark);
    }
    if (actions->tcpSocket) {
        size_t mark = validation_enter(v, ".tcpSocket");
        validate_port(v, container, &actions->tcpSocket->port);
        validation_leave(v, mark);
    }
}

static void validate_probe(struct validation *v, const struct container *container,
                           const char *field, const struct probe *probe)
{
    bool readiness = str_equal(field, ".readinessProbe");

    if (!probe)
        return;
    size_t mark = validation_enter(v, "%s", field);
    struct actions actions = {
        .exec = probe->exec,
        .httpGet = probe->httpGet,
        .tcpSocket = probe->tcpSocket,
        .grpc = probe->grpc,
        .known = "exec, httpGet, tcpSocket or grpc",
    };
    validate_actions(v, container, &actions);
    if (!readiness && probe->successThreshold > 1)
        validation_error(v, ".successThreshold", "must be 1 for liveness and startup probes");
    if (readiness && probe->terminationGracePeriodSeconds)
        validation_error(v, ".terminationGracePeriodSeconds",
                         "means nothing for a readiness probe, which stops no container");
    validation_leave(v, mark);
}

void validate_probes(struct validation *v, const struct container *container)
{
    validate_probe(v, container, ".livenessProbe", container->livenessProbe);
    validate_probe(v, container, ".readinessProbe", container->readinessProbe);
    validate_probe(v, container, ".startupProbe", container->startupProbe);
}

static void validate_handler(struct validation *v, const struct container *container,
                             const char *field, const struct lifecycle_handler *handler)
{
    if (!handler)
        return;
    size_t mark = validation_enter(v, "%s", field);
    struct actions actions = {
        .exec = handler->exec,
        .httpGet = handler->httpGet,
        .tcpSocket = handler->tcpSocket,
        .sleep = handler->sleep,
        .known = "exec, httpGet, tcpSocket or sleep",
    };
    validate_actions(v, container, &actions);
    const int64_t *grace = v->pod->spec.terminationGracePeriodSeconds;
    if (handler->sleep && grace && handler->sleep->seconds > *grace)
        validation_error(v, ".sleep.seconds",
                         "must not be longer than terminationGracePeriodSeconds (%lld)",
                         (long long)*grace);
    validation_leave(v, mark);
}

void validate_lifecycle(struct validation *v, const struct container *container)
{
    validate_handler(v, container, ".postStart", container->lifecycle->postStart);
    validate_handler(v, container, ".preStop", container->lifecycle->preStop);
}
