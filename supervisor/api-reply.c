// Whole replies: JSON, text, and errors as v1 Status.
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/api-internal.h"
#include "supervisor/json-text.h"

static api_result send_text(struct request *r, unsigned code, const char *content_type, char *text,
                            size_t len, const char *allow)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    if (allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
    api_result result = MHD_queue_response(r->connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static api_result send_json(struct request *r, unsigned code, json_t *value, const char *allow)
{
    _cleanup_free_ char *dump = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    char *text = xasprintf("%s\n", dump ? dump : "null");
    return send_text(r, code, "application/json", text, strlen(text), allow);
}

api_result reply_json(struct request *r, unsigned code, json_t *value)
{
    return send_json(r, code, value, NULL);
}

api_result reply_text(struct request *r, unsigned code, struct buffer *text)
{
    size_t len = text->len;
    return send_text(r, code, "text/plain; charset=utf-8", buffer_take(text), len, NULL);
}

api_result reply_typed(struct request *r, unsigned code, const char *content_type,
                       struct buffer *text)
{
    size_t len = text->len;
    return send_text(r, code, content_type, buffer_take(text), len, NULL);
}

// metav1.StatusReason (apimachinery/pkg/apis/meta/v1/types.go).
static const char *reason_of(unsigned code)
{
    switch (code) {
    case MHD_HTTP_BAD_REQUEST:
        return "BadRequest";
    case MHD_HTTP_NOT_FOUND:
        return "NotFound";
    case MHD_HTTP_METHOD_NOT_ALLOWED:
        return "MethodNotAllowed";
    case MHD_HTTP_CONFLICT:
        return "Conflict";
    case MHD_HTTP_GONE:
        return "Expired";
    case MHD_HTTP_CONTENT_TOO_LARGE:
        return "RequestEntityTooLarge";
    case MHD_HTTP_UNPROCESSABLE_CONTENT:
        return "Invalid";
    case MHD_HTTP_SERVICE_UNAVAILABLE:
        return "ServiceUnavailable";
    default:
        return "InternalError";
    }
}

json_t *status_object(unsigned code, const char *message)
{
    json_t *o = json_object();
    json_set_text(o, "kind", "Status");
    json_set_text(o, "apiVersion", "v1");
    json_object_set_new(o, "metadata", json_object());
    json_set_text(o, "status", "Failure");
    json_object_set_new(o, "message", json_text(message));
    json_set_text(o, "reason", reason_of(code));
    json_object_set_new(o, "code", json_integer(code));
    return o;
}

api_result reply_status(struct request *r, unsigned code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    return reply_json(r, code, status_object(code, message));
}

api_result reply_method_not_allowed(struct request *r, const char *allowed)
{
    _cleanup_free_ char *message = xasprintf("this address answers %s only", allowed);
    return send_json(r, MHD_HTTP_METHOD_NOT_ALLOWED,
                     status_object(MHD_HTTP_METHOD_NOT_ALLOWED, message), allowed);
}

api_result reply_accepted(struct request *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    json_t *o = json_object();
    json_object_set_new(o, "message", json_text(message));
    return reply_json(r, MHD_HTTP_ACCEPTED, o);
}
