// See pod-names.h.
#include "supervisor/pod-names.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"

enum { LABEL_MAX = 63, NODE_NAME_MAX = 64 };

char *pod_names_hostname(const struct pod *pod)
{
    const char *name = pod->metadata.name ? pod->metadata.name : "";
    if (!str_empty(pod->spec.hostnameOverride))
        return xstrdup(pod->spec.hostnameOverride);
    char *hostname = xstrndup(str_empty(pod->spec.hostname) ? name : pod->spec.hostname, LABEL_MAX);
    // Where it was cut, it may not end so.
    for (size_t n = strlen(hostname);
         strlen(name) > LABEL_MAX && n > 0 && strchr("-.", hostname[n - 1]); n--)
        hostname[n - 1] = '\0';
    return hostname;
}

char *pod_names_domain(const struct pod *pod, const char *cluster_domain)
{
    const char *namespace_ = pod->metadata.namespace ? pod->metadata.namespace : "default";
    if (str_empty(pod->spec.subdomain) || !str_empty(pod->spec.hostnameOverride))
        return NULL;
    return xasprintf("%s.%s.svc%s%s", pod->spec.subdomain, namespace_,
                     str_empty(cluster_domain) ? "" : ".", cluster_domain ? cluster_domain : "");
}

int pod_names_for_kernel(const struct pod *pod, const char *cluster_domain, char **ret,
                         struct error *err)
{
    _cleanup_free_ char *hostname = pod_names_hostname(pod);
    _cleanup_free_ char *domain = pod_names_domain(pod, cluster_domain);
    if (!pod->spec.setHostnameAsFQDN || !*pod->spec.setHostnameAsFQDN || !domain) {
        *ret = TAKE_PTR(hostname);
        return 0;
    }
    _cleanup_free_ char *full = xasprintf("%s.%s", hostname, domain);
    if (strlen(full) > NODE_NAME_MAX)
        return error_set(err, ENAMETOOLONG,
                         "setHostnameAsFQDN: %s is longer than the %d bytes that a host name may "
                         "have: shorten hostname or subdomain",
                         full, NODE_NAME_MAX);
    *ret = TAKE_PTR(full);
    return 0;
}
