// The templates of balancer.c and worker.c, as they were at build time (manifests/templates).
#pragma once

enum balancer_template {
    TEMPLATE_HAPROXY_CFG,
    TEMPLATE_HAPROXY_YAML,
    TEMPLATE_NGINX_CONF,
    TEMPLATE_NGINX_YAML,
    TEMPLATE_KEEPALIVED_CONF,
    TEMPLATE_KEEPALIVED_YAML,
    TEMPLATE_CHECK_APISERVER,
    TEMPLATE_CHECK_BALANCER,
    TEMPLATE_BALANCER_FOLLOW_YAML,
    TEMPLATE_BOOTSTRAP_KUBELET_CONF,
    TEMPLATE_KUBELET_CONFIG,
    TEMPLATE_KUBE_PROXY_CONFIG,
    TEMPLATE_KUBE_PROXY_KUBECONFIG,
    BALANCER_TEMPLATES,
};

const char *balancer_template(enum balancer_template which);
