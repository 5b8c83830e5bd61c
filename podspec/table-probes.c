// The table's rows of probes, lifecycle hooks and the actions that they take.
#include "podspec/table.h"

static const struct field_schema exec_action_fields[] = {
    ROW_STRINGS(exec_action, command, .required = true,
                .doc = "The program and its arguments, run in the container without a shell."),
};
TYPE(exec_action, "ExecAction", "Run a program; exit status 0 is success.");

static const struct field_schema http_header_fields[] = {
    ROW_STRING(http_header, name, .required = true, .check = check_http_header_name,
               .doc = "The header's name."),
    ROW_STRING(http_header, value, .doc = "The header's value."),
};
TYPE(http_header, "HTTPHeader", "A header of an HTTP request.");

static const struct field_schema http_get_action_fields[] = {
    ROW_STRING(http_get_action, path, .default_value = "/", .doc = "The path of the request."),
    ROW_INT_OR_STRING(http_get_action, port, .required = true,
                      .doc = "The port's number, or the name of one of the container's ports."),
    ROW_STRING(http_get_action, host,
               .doc = "The host to connect to; the pod's address where unset."),
    ROW_STRING(http_get_action, scheme, .default_value = "HTTP", .values = ONE_OF("HTTP", "HTTPS"),
               .doc = "HTTP, or HTTPS (whose certificate is not verified)."),
    ROW_LIST(http_get_action, httpHeaders, http_header, .doc = "Headers of the request."),
};
TYPE(http_get_action, "HTTPGetAction",
     "Make an HTTP request; a status of 200 to 399 is success. Redirects are followed on the same "
     "host; one to another host is success with a warning. An answer that breaks off is failure.");

static const struct field_schema tcp_socket_action_fields[] = {
    ROW_INT_OR_STRING(tcp_socket_action, port, .required = true,
                      .doc = "The port's number, or the name of one of the container's ports."),
    ROW_STRING(tcp_socket_action, host,
               .doc = "The host to connect to; the pod's address where unset."),
};
TYPE(tcp_socket_action, "TCPSocketAction", "Open a TCP connection; that it opens is success.");

static const struct field_schema grpc_action_fields[] = {
    ROW_INT(grpc_action, port, .required = true, .min = 1, .max = 65535,
            .doc = "The port's number."),
    ROW_STRING(grpc_action, service, .doc = "The service named in the health request."),
};
TYPE(grpc_action, "GRPCAction",
     "Ask a gRPC server, without TLS, for its health; SERVING is success.");

static const struct field_schema sleep_action_fields[] = {
    ROW_INT(sleep_action, seconds, .required = true, .min = 1, .max = INT32_MAX,
            .doc = "How long to wait, at most the termination grace period."),
};
TYPE(sleep_action, "SleepAction", "Wait.");

static const struct field_schema probe_fields[] = {
    ROW_STRUCT_PTR(probe, exec, exec_action, .doc = "Run a program in the container."),
    ROW_STRUCT_PTR(probe, httpGet, http_get_action, .doc = "Make an HTTP request."),
    ROW_STRUCT_PTR(probe, tcpSocket, tcp_socket_action, .doc = "Open a TCP connection."),
    ROW_STRUCT_PTR(probe, grpc, grpc_action, .doc = "Ask a gRPC server for its health."),
    ROW_INT(probe, initialDelaySeconds, .min = 0, .max = INT32_MAX,
            .doc = "Seconds after the container's start before the first probe; half a second "
                   "where 0."),
    ROW_INT(probe, timeoutSeconds, .min = 0, .max = INT32_MAX, .default_value = "1",
            .doc = "Seconds after which a probe without an answer has failed."),
    ROW_INT(probe, periodSeconds, .min = 0, .max = INT32_MAX, .default_value = "10",
            .doc = "Seconds from one probe to the next, counted from the first."),
    ROW_INT(probe, successThreshold, .min = 0, .max = INT32_MAX, .default_value = "1",
            .doc = "Successes in a row, after a failure, that count as success; must be 1 for "
                   "liveness and startup probes."),
    ROW_INT(probe, failureThreshold, .min = 0, .max = INT32_MAX, .default_value = "3",
            .doc = "Failures in a row, after a success, that count as failure."),
    ROW_INT_PTR(probe, terminationGracePeriodSeconds, .min = 1, .max = INT32_MAX,
                .doc = "The grace period when this probe's failure stops the container; the pod's "
                       "where unset."),
};
TYPE(probe, "Probe", "A question that is put to a container again and again.");

static const struct field_schema lifecycle_handler_fields[] = {
    ROW_STRUCT_PTR(lifecycle_handler, exec, exec_action, .doc = "Run a program in the container."),
    ROW_STRUCT_PTR(lifecycle_handler, httpGet, http_get_action,
                   .doc = "Make an HTTP request, with the scheme and the headers that it names; "
                          "any answer is success, one with a status of 400 or more is told."),
    ROW_STRUCT_PTR(lifecycle_handler, tcpSocket, tcp_socket_action,
                   .doc = "Open a TCP connection (no kubelet does this in a hook, where it "
                          "always fails)."),
    ROW_STRUCT_PTR(lifecycle_handler, sleep, sleep_action, .doc = "Wait."),
};
TYPE(lifecycle_handler, "LifecycleHandler", "What a hook does.");

static const struct field_schema lifecycle_fields[] = {
    ROW_STRUCT_PTR(lifecycle, postStart, lifecycle_handler,
                   .doc = "Done right after the container's start; its failure stops the "
                          "container."),
    ROW_STRUCT_PTR(lifecycle, preStop, lifecycle_handler,
                   .doc = "Done before the container is told to stop; its time counts towards the "
                          "grace period."),
    ROW_STRING(lifecycle, stopSignal, .check = check_signal,
               .doc = "The signal that stops the container, such as SIGUSR1; SIGTERM where unset."),
};
TYPE(lifecycle, "Lifecycle", "Hooks at the start and the stop of a container.");
