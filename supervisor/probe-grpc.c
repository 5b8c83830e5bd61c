// Questions by the gRPC health-checking protocol (grpc/doc/health-checking.md); see
// probe-question.h. libcurl speaks HTTP/2, without TLS and without an upgrade; the one message in
// either direction is a field each, written and read here.
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/probe-question.h"

enum {
    FRAME_HEAD = 5,           // a byte "compressed", the length in four
    TAG_SERVICE = 1 << 3 | 2, // HealthCheckRequest.service: field 1, a string
    FIELD_STATUS = 1,         // HealthCheckResponse.status: a number
    STATUS_SERVING = 1,
    GRPC_UNKNOWN = -1, // the server has sent no grpc-status
    GRPC_UNIMPLEMENTED = 12,
};

struct probe_grpc {
    struct probe_question question;
    struct probe_transfer *transfer;
    struct buffer request;
    long long status; // grpc-status
    char *message;    // grpc-message, as it was sent
};

static void grpc_free(struct probe_question *question)
{
    struct probe_grpc *grpc = (struct probe_grpc *)question;
    probe_transfer_free(grpc->transfer);
    buffer_free(&grpc->request);
    free(grpc->message);
    free(grpc);
}

// ---- the messages ----

static void add_varint(struct buffer *out, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        buffer_add_char(out, (char)(number | 0x80));
    buffer_add_char(out, (char)number);
}

void probe_grpc_encode(const char *service, struct buffer *out)
{
    _cleanup_buffer_ struct buffer message = BUFFER_EMPTY;
    if (!str_empty(service)) {
        buffer_add_char(&message, TAG_SERVICE);
        add_varint(&message, strlen(service));
        buffer_add_str(&message, service);
    }
    uint32_t len = (uint32_t)message.len;
    char head[FRAME_HEAD] = {0, (char)(len >> 24), (char)(len >> 16), (char)(len >> 8), (char)len};
    buffer_add(out, head, sizeof(head));
    buffer_add(out, message.data, message.len);
}

// Reads a number of 7 bits a byte; false where it does not end, or is longer than 64 bits.
static bool take_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
    uint64_t number = 0;
    for (int shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t byte = *(*p)++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = number;
            return true;
        }
    }
    return false;
}

// Passes over the value of a field that is not known. False where it is cut off.
static bool skip_value(const uint8_t **p, const uint8_t *end, unsigned wire)
{
    uint64_t len;
    if (wire == 0)
        return take_varint(p, end, &len);
    if (wire == 2 && !take_varint(p, end, &len))
        return false;
    if (wire != 2)
        len = wire == 1 ? 8 : wire == 5 ? 4 : UINT64_MAX;
    if (len > (uint64_t)(end - *p))
        return false;
    *p += len;
    return true;
}

int probe_grpc_decode(const void *data, size_t len, int64_t *ret_status)
{
    const uint8_t *p = data, *end;
    uint64_t status = 0;
    if (len < FRAME_HEAD || p[0] != 0)
        return -EBADMSG;
    uint32_t size =
        (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | (uint32_t)p[4];
    if (size > len - FRAME_HEAD)
        return -EBADMSG;
    end = (p += FRAME_HEAD) + size;
    while (p < end) {
        uint64_t tag;
        if (!take_varint(&p, end, &tag))
            return -EBADMSG;
        bool wanted = tag == FIELD_STATUS << 3;
        if (!(wanted ? take_varint(&p, end, &status) : skip_value(&p, end, tag & 7)))
            return -EBADMSG;
    }
    *ret_status = (int64_t)status;
    return 0;
}

// ---- the transfer ----

// curl's header callback, called for headers and trailers, one line each.
static size_t take_header(char *data, size_t size, size_t n, void *userdata)
{
    static const char status[] = "grpc-status:", message[] = "grpc-message:";
    struct probe_grpc *grpc = userdata;
    size_t len = size * n;
    _cleanup_free_ char *line = probe_text(data, len);
    if (strncasecmp(line, status, strlen(status)) == 0) {
        const char *value = line + strlen(status);
        value += strspn(value, " ");
        if (str_to_int(value, 0, INT32_MAX, &grpc->status) < 0)
            grpc->status = GRPC_UNKNOWN;
    } else if (strncasecmp(line, message, strlen(message)) == 0) {
        const char *value = line + strlen(message);
        free(grpc->message);
        grpc->message = xstrdup(value + strspn(value, " "));
    }
    return len;
}

static const char *serving_status_name(int64_t status)
{
    static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    return status >= 0 && status < (int64_t)ARRAY_SIZE(names) ? names[status] : "no known status";
}

// NULL: the service serves. The caller frees.
static char *judge(const struct probe_grpc *grpc, CURLcode code)
{
    const struct buffer *body = probe_transfer_body(grpc->transfer);
    int64_t serving;
    long http_status = 0;
    if (code != CURLE_OK)
        return probe_transfer_why(grpc->transfer, code, grpc->question.limit_usec);
    curl_easy_getinfo(probe_transfer_easy(grpc->transfer), CURLINFO_RESPONSE_CODE, &http_status);
    if (http_status != 200)
        return xasprintf("the server answers with HTTP status %ld, and is no gRPC server",
                         http_status);
    if (grpc->status == GRPC_UNIMPLEMENTED)
        return xstrdup("the server does not have the gRPC health service "
                       "(grpc.health.v1.Health)");
    if (grpc->status != 0)
        return xasprintf("the health check ended with gRPC status %lld%s%s", grpc->status,
                         grpc->message ? ": " : "", grpc->message ? grpc->message : "");
    if (probe_grpc_decode(body->data, body->len, &serving) < 0)
        return xstrdup("the server's answer is no health status");
    if (serving != STATUS_SERVING)
        return xasprintf("the service is %s", serving_status_name(serving));
    return NULL;
}

static void on_done(void *userdata, CURLcode code)
{
    const struct probe_grpc *grpc = userdata;
    _cleanup_free_ char *why = judge(grpc, code);
    grpc->question.answered(grpc->question.userdata, why ? PROBE_FAILED : PROBE_PASSED, why);
}

static void set_up(struct probe_grpc *grpc, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, grpc->request.data);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)grpc->request.len);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, grpc);
    probe_transfer_add_header(grpc->transfer, "Content-Type: application/grpc");
    probe_transfer_add_header(grpc->transfer, "TE: trailers");
    probe_transfer_add_header(grpc->transfer, "User-Agent: kube-probe/1.20");
}

int probe_grpc_ask(const struct probe_target *target, const struct grpc_action *action,
                   const struct probe_question *question, monotime now, struct probe_question **ret,
                   struct error *err)
{
    _cleanup_free_ char *url =
        probe_url("http", target->address, (int)action->port, "/grpc.health.v1.Health/Check");
    struct probe_grpc *grpc = xcalloc(1, sizeof(*grpc));
    grpc->question = *question;
    grpc->question.free = grpc_free;
    grpc->status = GRPC_UNKNOWN;
    probe_grpc_encode(action->service, &grpc->request);
    grpc->transfer = probe_transfer_new(
        target->transfers, monotime_add_usec(now, question->limit_usec), on_done, grpc);
    if (probe_transfer_easy(grpc->transfer))
        set_up(grpc, probe_transfer_easy(grpc->transfer));
    if (probe_transfer_start(grpc->transfer, url, now) < 0) {
        grpc_free(&grpc->question);
        return error_set(err, EINVAL, "cannot ask %s", url);
    }
    *ret = &grpc->question;
    return 0;
}
