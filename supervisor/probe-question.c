// See probe-question.h: what the four ways share. A host's own word for "that is not my URL" never
// comes up here, since every URL is made from parts.
#include "supervisor/probe-question.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"

enum { PORT_MAX = 65535 };

int probe_port(const struct container *container, const struct int_or_string *port, int *ret,
               struct error *err)
{
    long long number = port->number;
    if (port->is_string) {
        bool found = false;
        LIST_EACH (candidate, &container->ports)
            if (!found && str_equal(candidate->name, port->string)) {
                number = candidate->containerPort;
                found = true;
            }
        if (!found && str_to_int(port->string, 1, PORT_MAX, &number) < 0)
            return error_set(err, ENOENT, "the container has no port named \"%s\"", port->string);
    }
    if (number < 1 || number > PORT_MAX)
        return error_set(err, ERANGE, "port %lld is not between 1 and 65535", number);
    *ret = (int)number;
    return 0;
}

static bool is_url_byte(unsigned char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"<>\\^`{|}", c);
}

char *probe_url(const char *scheme, const char *host, int port, const char *path)
{
    struct buffer url = BUFFER_EMPTY;
    bool v6 = strchr(host, ':') && host[0] != '[';
    buffer_printf(&url, "%s://%s%s%s:%d%s", scheme, v6 ? "[" : "", host, v6 ? "]" : "", port,
                  path[0] == '/' ? "" : "/");
    for (const char *p = path; *p && *p != '#'; p++) {
        if (is_url_byte((unsigned char)*p))
            buffer_add_char(&url, *p);
        else
            buffer_printf(&url, "%%%02X", (unsigned char)*p);
    }
    return buffer_take(&url);
}

char *probe_text(const char *text, size_t len)
{
    len = strnlen(text ? text : "", MIN(len, (size_t)PROBE_TEXT_MAX));
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    // Not in the middle of a character.
    if (len == PROBE_TEXT_MAX)
        while (len > 0 && ((unsigned char)text[len - 1] & 0x80))
            len--;
    return xstrndup(text ? text : "", len);
}

int probe_question_ask(const struct probe_target *target, const struct probe *probe, monotime now,
                       probe_answered answered, void *userdata, struct probe_question **ret,
                       struct error *err)
{
    int64_t seconds = MAX(probe->timeoutSeconds, (int64_t)1);
    struct probe_question question = {
        .answered = answered,
        .userdata = userdata,
        .limit_usec = seconds * USEC_PER_SEC,
    };
    if (probe->exec)
        return probe_exec_ask(target, probe->exec, &question, ret, err);
    if (probe->httpGet)
        return probe_http_ask(target, probe->httpGet, &question, now, ret, err);
    if (probe->tcpSocket)
        return probe_tcp_ask(target, probe->tcpSocket, &question, now, ret, err);
    if (probe->grpc)
        return probe_grpc_ask(target, probe->grpc, &question, now, ret, err);
    return error_set(err, EINVAL, "the probe does not say what to do");
}

void probe_question_free(struct probe_question *question)
{
    if (question)
        question->free(question);
}
