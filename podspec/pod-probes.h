// Probes, lifecycle hooks and the actions that they take. Naming: podspec/schema.h; the Go types
// ProbeHandler and LifecycleHandler are those of Kubernetes 1.23 and later (1.20: Handler).
#pragma once

#include "podspec/pod-common.h"

struct exec_action {
    struct string_list command;
};

struct http_header {
    char *name;
    char *value;
};

struct http_get_action {
    char *path;
    struct int_or_string port;
    char *host;
    char *scheme;
    LIST_OF(struct http_header) httpHeaders;
};

struct tcp_socket_action {
    struct int_or_string port;
    char *host;
};

struct grpc_action {
    int64_t port;
    char *service;
};

struct sleep_action {
    int64_t seconds;
};

struct probe {
    struct exec_action *exec;
    struct http_get_action *httpGet;
    struct tcp_socket_action *tcpSocket;
    struct grpc_action *grpc;
    int64_t initialDelaySeconds;
    int64_t timeoutSeconds;
    int64_t periodSeconds;
    int64_t successThreshold;
    int64_t failureThreshold;
    int64_t *terminationGracePeriodSeconds;
};

struct lifecycle_handler {
    struct exec_action *exec;
    struct http_get_action *httpGet;
    struct tcp_socket_action *tcpSocket;
    struct sleep_action *sleep;
};

struct lifecycle {
    struct lifecycle_handler *postStart;
    struct lifecycle_handler *preStop;
    char *stopSignal;
};
