// What a line says about its urgency, as real programs write it, and what the lines between
// inherit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/macro.h"
#include "supervisor/shim/shim-priority.h"

static const struct {
    const char *line;
    int told;
} told[] = {
    // klog
    {"I1121 07:00:00.000001       1 server.go:1] up", 6},
    {"W1121 07:00:00.000001       1 server.go:1] hm", 4},
    {"E1121 07:00:00.000001       1 server.go:1] no", 3},
    {"F1121 07:00:00.000001       1 server.go:1] gone", 2},
    {"I1121 07", 6},
    {"I1121 0", -1},
    {"X1121 07:00:00.0", -1},
    {"I112x 07:00:00.0", -1},
    {"e1121 07:00:00.0", -1},
    // etcd 3.4, both of its loggers, and its raft
    {"2026-11-21 10:58:51.761878 I | etcdmain: etcd Version: 3.4.23", 6},
    {"2026-11-21 10:58:51.765019 W | auth: simple token is not cryptographically signed", 4},
    {"2026-11-21 10:58:51.7 E | rafthttp: failed", 3},
    {"2026-11-21 10:58:51.7 C | etcdmain: listen tcp: address already in use", 2},
    {"2026-11-21 10:58:52.567307 N | embed: serving insecure client requests", 5},
    {"2026-11-21 10:58:52.567307 D | etcdserver: x", 7},
    {"2026-11-21 10:58:52.567307 X | etcdserver: x", -1},
    {"2026-11-21 10:58:52.567307 I", -1},
    {"raft2026/11/21 10:58:51 INFO: 2e1259d415f2a040 became follower at term 0", 6},
    {"raft2026/11/21 10:58:51 WARN: 2e1259d415f2a040 is unreachable", 4},
    {"[WARNING] Deprecated '--logger=capnslog' flag is set; use '--logger=zap' flag instead", 4},
    {"{\"level\":\"info\",\"ts\":\"2026-11-21T10:58:55.736Z\",\"caller\":\"embed/etcd.go:117\"}",
     6},
    {"{\"level\":\"warn\",\"ts\":1}", 4},
    {"{\"level\":\"panic\"", 2},
    {"{\"level\":\"odd\"}", -1},
    {"{\"level\":\"", -1},
    {"{\"level\":\"Level(-4)\",\"msg\":\"x\"}", 7},
    // kube-apiserver's other lines
    {"Flag --insecure-port has been deprecated, This flag has no effect now", 4},
    {"Error: [service-account-issuer is a required flag]", 3},
    {"{\"ts\":1605942000.1,\"msg\":\"synced\",\"v\":4,\"n\":1}", 6},
    {"{\"ts\":1605942000.1,\"msg\":\"failed\",\"v\":0,\"n\":1,\"err\":\"timeout\"}", 3},
    {"{\"ts\":1605942000.1,\"msg\":\"x\",\"err\":\"timeout\"}", -1},
    {"panic: runtime error: index out of range [3] with length 3", 2},
    {"fatal error: all goroutines are asleep - deadlock!", 2},
    // JSON of others: the key anywhere at the top
    {"{\"time\":\"x\",\"msg\":\"a \\\"level\\\":\\\"error\\\" \\\\\",\"severity\":\"WARNING\"}", 4},
    {"{ \"nested\" : {\"level\":\"error\",\"a\":[1,\"}\"]} , \"lvl\" : \"dbug\" }", 7},
    {"{\"a\":[{\"level\":\"error\"}],\"b\":null}", -1},
    {"{\"name\":\"app\",\"level\":30,\"msg\":\"bunyan\"}", 6},
    {"{\"level\":60,\"msg\":\"pino\"}", 2},
    {"{\"level\":55}", -1},
    {"{\"level\":3}", -1}, // syslog's error to some, slog's or logr's own scale to others
    {"{\"PRIORITY\":\"3\"}", 3},
    {"{\"priority\":0}", 1},
    {"{\"log.level\":\"ERROR\"}", 3},
    {"{\"level\":\"ERROR+2\"}", 3},
    {"{\"level\":\"e\"}", 3},
    {"{\"level\":\"x\"}", -1},
    {"{\"level\":\"emergency\"}", 1},
    {"{\"level\":\"warning!\"}", -1},
    {"{\"level\":null}", -1},
    {"{\"level\" \"error\"}", -1},
    {"{level:\"error\"}", -1},
    {"{}", -1},
    {"{", -1},
    {"{\"a\\", -1},
    // logfmt
    {"time=\"2020-01-01T00:00:00Z\" level=error msg=\"no\"", 3},
    {"level=info ts=1", 6},
    {"t=2020-01-01T00:00:00+0000 lvl=eror msg=\"log15\"", 3},
    {"ts=1 caller=main.go:1 level=warn", 4},
    {"ts=1 severity=NOTICE", 5},
    {"msg=\"a level=error in it\" n=1", -1},
    {"msg=\"unfinished level=error", -1},
    {"a=b c level=error", -1},
    {"level=", -1},
    {"=error", -1},
    {"level=errors", -1},
    // sd-daemon
    {"<3>broken", 3},
    {"<30>daemon.info", 6},
    {"<0>emergency", 1},
    {"<191>x", 7},
    {"<192>x", -1},
    {"<>", -1},
    {"<3", -1},
    {"<html>", -1},
    // haproxy, nginx, logrus on a terminal, zap's console, grpc
    {"[ALERT]    (1) : config : parsing", 1},
    {"[NOTICE]   (1) : New worker", 5},
    {"[WARNING] 324/070000 (1) : Server a/b is DOWN", 4},
    {"2020/11/21 07:00:00 [error] 7#7: *1 connect() failed", 3},
    {"2020/11/21 07:00:00 [emerg] bind() failed", 1},
    {"[error", -1},
    {"[restful] 2020/11/21 07:00:00 log.go:33: listing", -1},
    {"INFO[0000] up", 6},
    {"WARN[0012] hm", 4},
    {"ERRO[0012] no", 3},
    {"Trace[12]: ---\"initial value restored\" 1ms", -1},
    {"info[0]", -1},
    {"2020-11-21T07:00:00.123Z\tERROR\tcontroller\tno", 3},
    {"2020-11-21 07:00:00,123 WARNING root: hm", 4},
    {"2020-11-21 07:00:00 error reading is common English", -1},
    {"WARNING: 2020/11/21 07:00:00 grpc: addrConn.createTransport failed", 4},
    {"error: exit status 1", 3},
    {"E: Unable to locate package", -1},
    // nothing
    {"", -1},
    {"plain", -1},
    {"line 12", -1},
    {"2020-11-21 07:00:00", -1},
    {"2020-11-21", -1},
    {"192.0.2.7 - - [21/Nov/2020:07:00:00 +0000] \"GET / HTTP/1.1\" 500", -1},
    {"information technology", -1},
    {" E1121 07:00:00.0", -1},
};

// In a block of its own, so that a sanitizer sees a read behind the end.
static char *exactly(const char *line)
{
    size_t len = strlen(line);
    return memcpy(xmalloc(len + !len), line, len);
}

static void lines_tell(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
        _cleanup_free_ char *line = exactly(told[i].line);
        int got = shim_priority_told(line, strlen(told[i].line));
        if (got != told[i].told)
            fail_msg("%s: told %d, not %d", told[i].line, got, told[i].told);
    }
}

static void only_the_beginning_is_looked_at(void **state)
{
    enum { PAD = 4096 };
    static const char end[] = "\",\"level\":\"error\"}";
    _cleanup_free_ char *line = xmalloc(PAD + sizeof(end));
    memset(line, 'x', PAD);
    memcpy(line, "{\"msg\":\"", 8);
    memcpy(line + PAD, end, sizeof(end));
    assert_int_equal(shim_priority_told(line, PAD + sizeof(end) - 1), -1);
    memcpy(line + 100, end, sizeof(end));
    assert_int_equal(shim_priority_told(line, PAD), 3);
}

struct step {
    const char *line;
    int priority;
    bool partial;
};

static void check_stream(const struct step *steps, size_t n, bool is_stderr)
{
    struct shim_priority stream = {0};
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *line = exactly(steps[i].line);
        int got =
            shim_priority_next(&stream, line, strlen(steps[i].line), is_stderr, steps[i].partial);
        if (got != steps[i].priority)
            fail_msg("line %zu, %s: %d, not %d", i, steps[i].line, got, steps[i].priority);
    }
}

static void without_a_word_the_stream_decides(void **state)
{
    static const struct step steps[] = {{"", 6}, {"plain", 6}, {"<3>no", 3}, {"x", 6}};
    check_stream(steps, ARRAY_SIZE(steps), false);
    static const struct step others[] = {{"", 3}, {"plain", 3}, {"level=info", 6}, {"x", 3}};
    check_stream(others, ARRAY_SIZE(others), true);
}

static void a_message_of_klog_has_many_lines(void **state)
{
    static const struct step steps[] = {
        {"raw", 3},
        {"I1121 07:00:00.0 1 trace.go:205] Trace[12]: \"GuaranteedUpdate etcd3\" (total time: "
         "5ms):",
         6},
        {"Trace[12]: ---\"initial value restored\" 1ms (07:00:00.000)", 6},
        {"Trace[12]: [5.1ms] [5.1ms] END", 6},
        {"Flag --insecure-port has been deprecated", 4},
        {"raw", 3},
        {"W1121 07:00:00.0 1 x.go:1] a map:", 4},
        {"}", 4},
        {"panic: oh", 2},
        {"raw", 3},
    };
    check_stream(steps, ARRAY_SIZE(steps), true);
}

static void indented_lines_belong_to_the_one_before(void **state)
{
    static const struct step steps[] = {
        {"[WARNING] a multi-line message:", 4},
        {"  first part", 4},
        {"\tsecond part", 4},
        {"", 4},
        {"plain", 6},
        {"  and what belongs to it", 6},
        {"F1121 07:00:00.0 1 x.go:1] end", 2},
        {"  {\"level\":\"info\"}", 2},
    };
    check_stream(steps, ARRAY_SIZE(steps), false);
}

static void a_panic_is_critical_to_its_last_frame(void **state)
{
    static const struct step steps[] = {
        {"panic: assignment to entry in nil map [recovered]", 2},
        {"\tpanic: assignment to entry in nil map", 2},
        {"[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x45]", 2},
        {"", 2},
        {"goroutine 1 [running]:", 2},
        {"main.main()", 2},
        {"\t/src/main.go:5 +0x1d", 2},
        {"created by net/http.(*Server).Serve", 2},
        {"\t/src/server.go:2969 +0x36c", 2},
        {"exit status 2", 2},
        {"something else", 3},
        {"a call(by nobody)", 3},
    };
    check_stream(steps, ARRAY_SIZE(steps), true);
}

static void a_logged_stack_has_the_priority_of_its_message(void **state)
{
    static const struct step steps[] = {
        {"E1121 07:00:00.0 1 runtime.go:78] Observed a panic: oh", 3},
        {"goroutine 12 [running]:", 3},
        {"k8s.io/apimachinery/pkg/util/runtime.logPanic(0x1, 0x2)", 3},
        {"\t/src/runtime.go:74 +0x95", 3},
        {"<7>on", 7},
        {"f(x)", 6},
    };
    check_stream(steps, ARRAY_SIZE(steps), false);
}

static void the_rest_of_a_line_is_as_its_beginning(void **state)
{
    static const struct step steps[] = {
        {"E1121 07:00:00.0 1 x.go:1] long", 3, true},
        {"I1121 07:00:00.0 no prefix, but the middle of it", 3, true},
        {"<7>nor this", 3},
        {"<6>plain", 6},
    };
    check_stream(steps, ARRAY_SIZE(steps), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_tell),
        cmocka_unit_test(only_the_beginning_is_looked_at),
        cmocka_unit_test(without_a_word_the_stream_decides),
        cmocka_unit_test(a_message_of_klog_has_many_lines),
        cmocka_unit_test(indented_lines_belong_to_the_one_before),
        cmocka_unit_test(a_panic_is_critical_to_its_last_frame),
        cmocka_unit_test(a_logged_stack_has_the_priority_of_its_message),
        cmocka_unit_test(the_rest_of_a_line_is_as_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
