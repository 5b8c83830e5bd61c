// The files of manifests/templates, put into the program by the assembler, each with a NUL behind
// it. The build knows that this file depends on them (CMakeLists.txt, OBJECT_DEPENDS).
#include "manifests/balancer-templates.h"
#include "manifests/control-plane.h"

#define TEMPLATE(symbol, file)                                                                     \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global " #symbol "\n"                                                                \
            ".hidden " #symbol "\n"                                                                \
            ".type " #symbol ", @object\n" #symbol ":\n"                                           \
            ".incbin \"" MAINSTAY_TEMPLATE_DIR "/" file "\"\n"                                     \
            ".byte 0\n"                                                                            \
            ".size " #symbol ", . - " #symbol "\n"                                                 \
            ".popsection\n");                                                                      \
    extern __attribute__((visibility("hidden"))) const char symbol[]

TEMPLATE(template_etcd, "etcd.yaml");
TEMPLATE(template_kube_apiserver, "kube-apiserver.yaml");
TEMPLATE(template_kube_controller_manager, "kube-controller-manager.yaml");
TEMPLATE(template_kube_scheduler, "kube-scheduler.yaml");

const char *control_plane_template(enum control_plane_component component)
{
    static const char *const templates[COMPONENTS] = {
        [COMPONENT_ETCD] = template_etcd,
        [COMPONENT_KUBE_APISERVER] = template_kube_apiserver,
        [COMPONENT_KUBE_CONTROLLER_MANAGER] = template_kube_controller_manager,
        [COMPONENT_KUBE_SCHEDULER] = template_kube_scheduler,
    };
    return templates[component];
}

TEMPLATE(template_haproxy_cfg, "haproxy.cfg");
TEMPLATE(template_haproxy_yaml, "haproxy.yaml");
TEMPLATE(template_nginx_conf, "nginx.conf");
TEMPLATE(template_nginx_yaml, "nginx.yaml");
TEMPLATE(template_keepalived_conf, "keepalived.conf");
TEMPLATE(template_keepalived_yaml, "keepalived.yaml");
TEMPLATE(template_check_apiserver, "check-apiserver");
TEMPLATE(template_check_balancer, "check-balancer");
TEMPLATE(template_balancer_follow_yaml, "balancer-follow.yaml");
TEMPLATE(template_bootstrap_kubelet_conf, "bootstrap-kubelet.conf");
TEMPLATE(template_kubelet_config, "kubelet-config.yaml");
TEMPLATE(template_kube_proxy_config, "kube-proxy-config.yaml");
TEMPLATE(template_kube_proxy_kubeconfig, "kube-proxy-kubeconfig.yaml");

const char *balancer_template(enum balancer_template which)
{
    static const char *const templates[BALANCER_TEMPLATES] = {
        [TEMPLATE_HAPROXY_CFG] = template_haproxy_cfg,
        [TEMPLATE_HAPROXY_YAML] = template_haproxy_yaml,
        [TEMPLATE_NGINX_CONF] = template_nginx_conf,
        [TEMPLATE_NGINX_YAML] = template_nginx_yaml,
        [TEMPLATE_KEEPALIVED_CONF] = template_keepalived_conf,
        [TEMPLATE_KEEPALIVED_YAML] = template_keepalived_yaml,
        [TEMPLATE_CHECK_APISERVER] = template_check_apiserver,
        [TEMPLATE_CHECK_BALANCER] = template_check_balancer,
        [TEMPLATE_BALANCER_FOLLOW_YAML] = template_balancer_follow_yaml,
        [TEMPLATE_BOOTSTRAP_KUBELET_CONF] = template_bootstrap_kubelet_conf,
        [TEMPLATE_KUBELET_CONFIG] = template_kubelet_config,
        [TEMPLATE_KUBE_PROXY_CONFIG] = template_kube_proxy_config,
        [TEMPLATE_KUBE_PROXY_KUBECONFIG] = template_kube_proxy_kubeconfig,
    };
    return templates[which];
}
