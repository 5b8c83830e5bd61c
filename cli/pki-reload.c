// Which component notices a new certificate by itself. Read in the sources of Kubernetes 1.20 and
// etcd 3.4; what is not in the table is read at the start only (kubeconfigs with everything inlined
// above all).
#include "base/macro.h"
#include "base/string-list.h"
#include "cli/pki.h"

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

bool pki_is_read_anew(const char *user)
{
    for (size_t i = 0; i < ARRAY_SIZE(read_anew); i++)
        if (str_equal(user, read_anew[i]))
            return true;
    return false;
}
