// The files of manifests/templates, put into the program by the assembler, each with a NUL behind
// it. The build knows that this file depends on them (CMakeLists.txt, OBJECT_DEPENDS).
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
