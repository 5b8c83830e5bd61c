// Which component notices a new certificate by itself. Read in the sources of Kubernetes 1.20 and
// etcd 3.4; what is not in the table is read at the start only (kubeconfigs with everything inlined
// above all).
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/pki-store.h"

static const char *const read_anew[] = {
    // apiserver/pkg/server/options/serving.go, authentication.go: dynamiccertificates
    "kube-apiserver --tls-cert-file",
    "kube-apiserver --client-ca-file",
    "kube-apiserver --requestheader-client-ca-file",
    "kube-controller-manager --tls-cert-file",
    "kube-controller-manager --client-ca-file",
    "kube-controller-manager --requestheader-client-ca-file",
    "kube-scheduler --tls-cert-file",
    "kube-scheduler --client-ca-file",
    "kube-scheduler --requestheader-client-ca-file",
    // kube-aggregator/pkg/apiserver/apiserver.go: aggregator-proxy-cert
    "kube-apiserver --proxy-client-cert-file",
    // client-go/transport/transport.go: ReloadTLSFiles
    "kube-apiserver --kubelet-client-certificate",
    // etcd, pkg/transport/listener.go: GetCertificate and GetClientCertificate at each handshake
    "kube-apiserver --etcd-certfile",
    "etcd --cert-file",
    "etcd --peer-cert-file",
    // pkg/controller/certificates/signer/ca_provider.go
    "kube-controller-manager --cluster-signing-cert-file",
};

static bool is_read_anew(const char *user)
{
    for (size_t i = 0; i < ARRAY_SIZE(read_anew); i++)
        if (str_equal(user, read_anew[i]))
            return true;
    return false;
}

void pki_followers_add(struct pki_followers *followers, const struct pki_item *item)
{
    LIST_EACH (user, item->users) {
        bool anew = is_read_anew(*user);
        _cleanup_free_ char *name = xstrndup(*user, strcspn(*user, " "));
        struct string_list *to = anew ? &followers->anew : &followers->restart;
        if (!string_list_contains(to, name))
            string_list_add(to, name);
    }
}

void pki_followers_say(const struct pki_followers *followers)
{
    LIST_EACH (name, &followers->restart)
        printf("restart  %s: it reads what was renewed at its start only (`mainstay restart %s`, "
               "or the annotation mainstay.dev/restart-on-change)\n",
               *name, *name);
    LIST_EACH (name, &followers->anew)
        if (!string_list_contains(&followers->restart, *name))
            printf("nothing to do for %s: it reads what was renewed by itself\n", *name);
}

void pki_followers_free(struct pki_followers *followers)
{
    string_list_free(&followers->restart);
    string_list_free(&followers->anew);
    *followers = (struct pki_followers){0};
}
